"""Published figures to show beside ours, read from `reports/published/<stem>.yaml`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from orchestrator.errors import StoreError
from orchestrator.store.records import Row

__all__ = ["Published", "PublishedRow", "published_note", "read_published", "stand_beside"]


@dataclass(frozen=True, kw_only=True, slots=True)
class PublishedRow:
    """One line of a source."""

    label: str
    values: Mapping[str, float]
    """By metric, in the unit of the column's header (per cent for mIoU), as the source prints it."""
    setting: str = ""
    """Where it differs from that of the whole source."""
    beside: Mapping[str, Any] = field(default_factory=dict)
    """Factors of ours that ask the same: dotted keys and values. Empty: it stands in a block below."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Published:
    """The figures of one source that was read, never quoted from memory."""

    title: str
    setting: str
    """Data set, schedule and seeds behind the figures, to keep readers from comparing what is not comparable."""
    source: str
    checked: str
    """How the figures were checked."""
    rows: tuple[PublishedRow, ...]


def read_published(stem: str) -> Published:
    """The source `stem`. Raises StoreError, naming those there are, when there is no such file."""
    folder = Path(__file__).parents[1] / "published"
    stems = sorted(item.name.removesuffix(".yaml") for item in folder.iterdir() if item.name.endswith(".yaml"))
    if stem not in stems:
        raise StoreError(f"table.published: no source {stem!r}; there are: {', '.join(stems)}")
    values = YAML(typ="safe", pure=True).load((folder / f"{stem}.yaml").read_text(encoding="utf-8"))
    return Published(**{**values, "rows": tuple(PublishedRow(**row) for row in values["rows"])})


def stand_beside(published: Published, rows: list[Row]) -> dict[str, PublishedRow]:
    """By label of ours the published row that asks the same; each at most once, the first that fits."""
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


def published_note(published: Published, protocol: str) -> str:
    """The footnote: who, under which protocol, and that ours is another one."""
    parts = [f"{published.title}: {published.setting}", *unique_settings(published)]
    text = f"{'; '.join(parts)}. Source: {published.source} ({published.checked})."
    ours = " ".join(protocol.split()).rstrip(".")
    return f"{text} Not our protocol{f' ({ours})' if ours else ''}: compare trends, not values."


def unique_settings(published: Published) -> list[str]:
    """Settings of single rows: `OCR: Cityscapes test`."""
    return [f"{row.label}: {row.setting}" for row in published.rows if row.setting]
