"""Tables for notebooks: a DataFrame, or a Styler that resembles the printed table.

A sweep is named, `ablation_memory`, or is an archive, `ablation_memory.zip`.
"""

from __future__ import annotations

import html
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from orchestrator.store.archive.members import names_archive
from orchestrator.store.archive.reading import opened
from orchestrator.store.run_directory import RunDirectory
from reports.render.csv import to_frame
from reports.render.markdown import SYMBOLS
from reports.render.parquet import tidy_columns
from reports.sources.archive import load_archive
from reports.sources.loaded import LoadedSweep
from reports.sources.run_directory import load_sweep
from reports.tables.cell_text import CellText, Mark
from reports.tables.layout import Header
from reports.tables.table import Table
from reports.write import make_table

if TYPE_CHECKING:
    from pandas.io.formats.style import Styler

__all__ = ["frame", "runs", "styled"]

WORDS = {
    Mark.BEST: "Bold",
    Mark.SECOND: "Underlined",
    Mark.DELTA: "In brackets",
    Mark.SIGNIFICANT: "*",
}
"""In place of those symbols of Markdown that are markup."""

CSS = {Mark.BEST: "font-weight: bold", Mark.SECOND: "text-decoration: underline"}


def frame(name: Path | str, run_dir: Path | str = "runs") -> pd.DataFrame:
    """A line per row of the sweep `name` with mean, std, n, difference, interval and p of each column.

    Values are in the unit of the records (0.43, not 43 %). Raises StoreError when there is no such sweep.
    """
    return to_frame(load_table(name, run_dir))


def runs(name: Path | str, run_dir: Path | str = "runs") -> pd.DataFrame:
    """Tidy: a line per row, seed and metric of the sweep `name`, as in `runs.parquet`."""
    with opened_sweep(name, run_dir) as loaded:
        return pd.DataFrame(tidy_columns(loaded.results))


def styled(name: Path | str, run_dir: Path | str = "runs") -> Styler:
    """The table of the sweep `name` as printed: digits, marks, best bold, second underlined."""
    return style_table(load_table(name, run_dir))


def load_table(name: Path | str, run_dir: Path | str) -> Table:
    """The table of the sweep `name`."""
    with opened_sweep(name, run_dir) as loaded:
        return make_table(loaded.results, directory=loaded.directory)


@contextmanager
def opened_sweep(name: Path | str, run_dir: Path | str) -> Iterator[LoadedSweep]:
    """The sweep `name` of a run directory, or that of the archive `name`. Raises StoreError."""
    if names_archive(name):
        with opened(Path(name)) as archive:
            yield load_archive(archive)
    else:
        directory = RunDirectory(run_dir)
        yield LoadedSweep(results=load_sweep(directory, str(name)), directory=directory)


def style_table(table: Table) -> Styler:
    """A Styler of the printed rows, all texts escaped."""
    headers = [Header.of(column).label for column in table.columns]
    labels = [row.label for row in table.rows]
    texts = pd.DataFrame([[render_cell(text) for text in row.cell_texts] for row in table.rows], labels, headers)
    css = pd.DataFrame([[CSS.get(text.rank, "") for text in row.cell_texts] for row in table.rows], labels, headers)
    return (
        texts.style.format(escape="html")
        .format_index(escape="html", axis=0)
        .format_index(escape="html", axis=1)
        .apply(lambda _: css, axis=None)
        .set_caption(html.escape(f"{table.caption} {legend(table)}".rstrip(), quote=False))
    )


def legend(table: Table) -> str:
    """What the marks of the printed rows mean, a sentence for each that is used."""
    explained = [note for note in table.notes if note.mark in SYMBOLS]
    return " ".join(f"{WORDS.get(note.mark, SYMBOLS[note.mark])}: {note.text}" for note in explained)


def render_cell(cell_text: CellText) -> str:
    """`43.20 ± 0.74 (+2.25*) ≈`."""
    if not cell_text.mean:
        return cell_text.missing or "–"
    text = f"{cell_text.mean} ± {cell_text.std}" if cell_text.std else cell_text.mean
    if cell_text.delta:
        text += f" ({cell_text.delta}{'*' if cell_text.significant else ''})"
    return " ".join([text, *(SYMBOLS[mark] for mark in cell_text.marks)])
