"""Published figures to show beside ours, read from `reports/published/<stem>.yaml`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ruamel.yaml import YAML

from orchestrator.errors import StoreError

__all__ = ["Published", "PublishedRow", "read_published"]


@dataclass(frozen=True, kw_only=True, slots=True)
class PublishedRow:
    """One line of a source."""

    label: str
    values: Mapping[str, float]
    """By metric, in the unit of the column's header (per cent for mIoU), as the source prints it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Published:
    """The figures of one source that was read, never quoted from memory."""

    title: str
    setting: str
    """Data set, schedule and seeds behind the figures, to keep readers from comparing what is not comparable."""
    source: str
    rows: tuple[PublishedRow, ...]


def read_published(stem: str) -> Published:
    """The source `stem`. Raises StoreError, naming those there are, when there is no such file."""
    folder = Path(__file__).parent / "published"
    stems = sorted(item.name.removesuffix(".yaml") for item in folder.iterdir() if item.name.endswith(".yaml"))
    if stem not in stems:
        raise StoreError(f"table.published: no source {stem!r}; there are: {', '.join(stems)}")
    values = YAML(typ="safe", pure=True).load((folder / f"{stem}.yaml").read_text(encoding="utf-8"))
    return Published(**{**values, "rows": tuple(PublishedRow(**row) for row in values["rows"])})
