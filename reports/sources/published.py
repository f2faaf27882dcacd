"""Published figures to show beside those of a sweep, read from `reports/published/<stem>.yaml`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from orchestrator.errors import StoreError
from orchestrator.store.records import Row

__all__ = ["Published", "PublishedRow", "match_published", "published_note", "read_published"]


@dataclass(frozen=True, kw_only=True, slots=True)
class PublishedRow:
    """One row of a source."""

    label: str
    values: Mapping[str, float]
    """By metric, in the unit of the column's header (per cent for mIoU), as the source prints it."""
    setting: str = ""
    """Where the setting of this row differs from that of the source."""
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
    rows: tuple[PublishedRow, ...]


def read_published(stem: str) -> Published:
    """The source `stem`. Raises StoreError, listing the known ones, when there is no such file."""
    folder = Path(__file__).parents[1] / "published"
    stems = sorted(item.name.removesuffix(".yaml") for item in folder.iterdir() if item.name.endswith(".yaml"))
    if stem not in stems:
        raise StoreError(f"table.published: no source {stem!r}; there are: {', '.join(stems)}")
    values = YAML(typ="safe", pure=True).load((folder / f"{stem}.yaml").read_text(encoding="utf-8"))
    return Published(**{**values, "rows": tuple(PublishedRow(**row) for row in values["rows"])})


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


def published_note(published: Published, protocol: str) -> str:
    """The note: source, its protocol, and that it is not ours."""
    settings = (f"{row.label}: {row.setting}" for row in published.rows if row.setting)  # as `OCR: Cityscapes test`
    parts = [f"{published.title}: {published.setting}", *settings]
    text = f"{'; '.join(parts)}. Source: {published.source} ({published.checked})."
    ours = " ".join(protocol.split()).rstrip(".")
    return f"{text} Not our protocol{f' ({ours})' if ours else ''}: compare trends, not values."
