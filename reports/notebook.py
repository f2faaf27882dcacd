"""Tables for notebooks: a DataFrame, or a Styler that looks like the table."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from orchestrator.store.records import AttemptRecord, SweepRecord
from reports.render.csv import to_frame
from reports.render.parquet import columns_of
from reports.sources.run_directory import load_sweep, recorded_name
from reports.tables.cell_text import CellText, Mark
from reports.tables.table import Table
from reports.write import make_table

if TYPE_CHECKING:
    from pandas.io.formats.style import Styler

__all__ = ["frame", "runs", "styled"]

LOOKS = {Mark.BEST: "font-weight: bold", Mark.SECOND: "text-decoration: underline"}
SIGNS = {Mark.ALIKE: "≈", Mark.FEWER: "†", Mark.PROVISIONAL: "‡", Mark.MIXED: "§"}


def frame(name: str, run_dir: Path | str = "runs") -> pd.DataFrame:
    """A line per row of the sweep `name` with mean, std, n, difference, interval and p of each column.

    Values are in the unit of the records (shares, not per cent). Raises StoreError when there is no such sweep.
    """
    return to_frame(make_table(*load(name, run_dir)))


def runs(name: str, run_dir: Path | str = "runs") -> pd.DataFrame:
    """Tidy: a line per row, seed and metric of the sweep `name`, as in `runs.parquet`."""
    return pd.DataFrame(columns_of(*load(name, run_dir)))


def styled(name: str, run_dir: Path | str = "runs") -> Styler:
    """The table of the sweep `name` as it is printed: digits, marks, best bold, second underlined."""
    return style_table(make_table(*load(name, run_dir)))


def load(name: str, run_dir: Path | str) -> tuple[SweepRecord, Mapping[str, AttemptRecord]]:
    """A sweep, also one that was run with a single other recipe."""
    return load_sweep(run_dir, recorded_name(run_dir, name))


def style_table(table: Table) -> Styler:
    """A Styler of the printed rows, all texts escaped."""
    headers = [f"{column.header} {column.arrow}".strip() for column in table.columns]
    labels = [row.label for row in table.rows]
    texts = pd.DataFrame(
        [[render_cell(cell_text) for cell_text in row.cell_texts] for row in table.rows], labels, headers
    )
    looks = pd.DataFrame(
        [[LOOKS.get(cell_text.rank, "") for cell_text in row.cell_texts] for row in table.rows], labels, headers
    )
    return (
        texts.style.format(escape="html")
        .format_index(escape="html", axis=0)
        .format_index(escape="html", axis=1)
        .apply(lambda _: looks, axis=None)
        .set_caption(table.caption.replace("&", "&amp;").replace("<", "&lt;"))
    )


def render_cell(cell_text: CellText) -> str:
    """`43.20 ± 0.74 (+2.25*) ≈`."""
    if not cell_text.mean:
        return cell_text.missing or "–"
    text = f"{cell_text.mean} ± {cell_text.std}" if cell_text.std else cell_text.mean
    if cell_text.delta:
        text += f" ({cell_text.delta}{'*' if cell_text.significant else ''})"
    return " ".join([text, *(SIGNS[mark] for mark in cell_text.marks)])
