"""Writes the report files of a sweep, each whole or not at all."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from orchestrator.errors import StoreError
from orchestrator.records import AttemptRecord, SweepRecord
from reports.files import replace_text
from reports.published import read_published
from reports.render import STYLES
from reports.search import importance
from reports.tables import SEARCHES, Table, build_table

__all__ = ["FORMATS", "make_table", "write_reports", "write_table"]

FORMATS = tuple(STYLES)
"""Names as on the command line."""


def write_reports(
    sweep: SweepRecord, outcomes: Mapping[str, AttemptRecord], out: Path, styles: Iterable[str] = FORMATS
) -> dict[str, Path]:
    """Write `table.{md,tex,html,csv}`, `preview.tex` and `runs.parquet` into the folder `out`; returns paths by style.

    `table.html` is one self-contained page, `table.tex` a fragment for `\\input` and `preview.tex` a document around
    it. Raises StoreError when `table.published` names no source or the folder cannot be written, ValueError for an
    unknown style.
    """
    return write_table(make_table(sweep, outcomes), out, styles)


def make_table(sweep: SweepRecord, outcomes: Mapping[str, AttemptRecord]) -> Table:
    """The table of a sweep with the published rows it asks for. Raises StoreError as `write_reports`."""
    published = read_published(sweep.table.published) if sweep.table.published else None
    shares = importance(sweep, outcomes) if sweep.method in SEARCHES else {}
    return build_table(sweep, outcomes, published, shares)


def write_table(table: Table, out: Path, styles: Iterable[str] = tuple(STYLES)) -> dict[str, Path]:
    """Render `table` in each of `styles` and write it; see `write_reports`."""
    styles = tuple(styles)
    unknown = [style for style in styles if style not in STYLES]
    if unknown:
        raise ValueError(f"no style {unknown[0]!r}; there are: {', '.join(STYLES)}")
    paths: dict[str, Path] = {}
    for style in styles:
        suffix, render = STYLES[style]
        paths[style] = out / f"table.{suffix}"
        try:
            replace_text(paths[style], render(table))
        except OSError as error:
            raise StoreError(f"{paths[style]}: cannot be written ({error.strerror or error})") from error
    return paths
