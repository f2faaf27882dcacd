"""Published figures to show beside those of a sweep, read from `reports/published/<stem>.yaml`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, SequenceNode

from orchestrator.errors import StoreError
from orchestrator.store.sweep_record import Row
from orchestrator.store.typed_values import build
from orchestrator.workload.protocol_record import ProtocolRecord

__all__ = ["FOLDER", "Published", "PublishedRow", "match_published", "read_published"]

FOLDER = Path(__file__).parents[1] / "published"
README = "search_spaces/README.md"


@dataclass(frozen=True, kw_only=True, slots=True)
class PublishedRow:
    """One row of a source."""

    label: str
    values: Mapping[str, float]
    """By metric, in the unit of the column's header (per cent for mIoU), as the source prints it."""
    setting: str = ""
    """Where the setting of this row differs from that of the source."""
    protocol: ProtocolRecord | None = None
    """How it was measured, where not like the other rows."""
    beside: Mapping[str, Any] = field(default_factory=dict)
    """Factors of the row of ours to show it beside: dotted keys and values. Empty: it is shown in a block below."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Published:
    """The figures of one source."""

    title: str
    setting: str
    """Data set, schedule and seeds behind the figures."""
    source: str
    checked: str
    """How the figures were checked against the source."""
    protocol: ProtocolRecord
    """How the figures were measured."""
    rows: tuple[PublishedRow, ...]

    def protocol_of(self, row: PublishedRow) -> ProtocolRecord:
        """How the figures of `row` were measured."""
        return self.protocol if row.protocol is None else row.protocol


def read_published(stem: str, folder: Path = FOLDER) -> Published:
    """The source `stem`. Raises StoreError, one line, for an unknown one and for a file with a mistake."""
    stems = sorted(item.name.removesuffix(".yaml") for item in folder.iterdir() if item.name.endswith(".yaml"))
    if stem not in stems:
        raise StoreError(f"table.published: no source {stem!r}; there are: {', '.join(stems)}")
    name = f"{folder.name}/{stem}.yaml"
    reader = YAML(typ="safe", pure=True)
    text = (folder / f"{stem}.yaml").read_text(encoding="utf-8")
    try:
        return build(Published, reader.load(text))
    except ValueError as error:
        *path, mistake = str(error).split(": ")
        line = line_of(YAML(typ="safe", pure=True).compose(text), [part.strip("[]") for part in path])
        key = ".".join(path).replace(".[", "[")
        raise StoreError(f"{name}:{line}: {f'{key}: ' if key else ''}{mistake}; see {README}") from error
    except YAMLError as error:
        mark = error.problem_mark if isinstance(error, MarkedYAMLError) else None
        line = mark.line + 1 if mark is not None else 1
        problem = (getattr(error, "problem", None) or str(error)).splitlines()[0]
        raise StoreError(f"{name}:{line}: not YAML ({problem}); correct the line") from error


def line_of(node: Node | None, path: list[str]) -> int:
    """Line of the key or list item at `path`, or of the closest block around it; 1 in an empty file."""
    line = node.start_mark.line + 1 if node is not None else 1
    for part in path:
        if isinstance(node, SequenceNode) and part.isdigit():
            node = node.value[int(part)]
            line = node.start_mark.line + 1
        elif isinstance(node, MappingNode) and (
            pair := next((pair for pair in node.value if pair[0].value == part), None)
        ):
            line, node = pair[0].start_mark.line + 1, pair[1]
        else:
            break
    return line


def match_published(published: Published, rows: list[Row]) -> dict[str, PublishedRow]:
    """By label of ours, the published row to show beside it: the first that matches, each row at most once."""
    found: dict[str, PublishedRow] = {}
    for theirs in published.rows:
        for ours in rows:
            fits = bool(theirs.beside) and all(
                key in ours.factors and ours.factors[key] == value for key, value in theirs.beside.items()
            )
            if fits and ours.label not in found:
                found[ours.label] = theirs
                break
    return found
