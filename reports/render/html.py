"""A table as one self-contained HTML page: no script, no request, light and dark, wide and narrow screens."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from reports.aggregate import Cell
from reports.columns import Column
from reports.notes import Mark
from reports.render.markdown import minus
from reports.tables import Entry, Table

__all__ = ["render_html"]

TEMPLATE = "page.html.jinja"
EDGE = 4.0
"""Room left and right of the outermost seeds in a strip, per cent of its width."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SeedLine:
    """One seed of a cell, as the hover shows it."""

    seed: int
    text: str
    """Its value, or why there is none."""
    delta: str = ""
    position: float | None = None
    """Place in the strip, per cent; None without a value, or in a column without a strip."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CellView:
    """One cell of the page."""

    entry: Entry
    column: Column
    seeds: tuple[SeedLine, ...]
    tone: str
    """`good`, `bad` or `even`: which way the difference points."""
    delta_width: int = 0
    """Characters kept free for the difference, so that the numbers of a column stay aligned."""
    baseline_position: float | None = None
    """Where the baseline's mean lies in the strip, per cent."""


def render_html(table: Table) -> str:
    """The whole page. Every text of the table is escaped by the template."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),  # a folder named reports/ here must not shadow the package
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["minus"] = minus
    return environment.get_template(TEMPLATE).render(table=table, views=cell_views(table), Mark=Mark)


def cell_views(table: Table) -> list[list[CellView]]:
    """One view per row and column of `table`."""
    views: list[list[CellView]] = [[] for _ in table.rows]
    for index, column in enumerate(table.columns):
        entries = [row.entries[index] for row in table.rows]
        values = [value for entry in entries for value in entry.cell.values.values()]
        low, high = (min(values), max(values)) if values and column.ranked else (0.0, 0.0)
        reference = next((row.entries[index].cell for row in table.rows if row.baseline), None)
        width = max((len(entry.delta) for entry in entries), default=0)
        for view_row, entry in zip(views, entries, strict=True):
            view = view_cell(table.seeds, column, entry, reference, (low, high))
            view_row.append(replace(view, delta_width=width))
    return views


def view_cell(
    seeds: tuple[int, ...], column: Column, entry: Entry, reference: Cell | None, limits: tuple[float, float]
) -> CellView:
    """`entry` beside the baseline's cell `reference`, its seeds placed between `limits`, the range of the column."""
    low, high = limits
    lines = []
    for seed in seeds:
        if seed not in entry.cell.values:
            lines.append(SeedLine(seed=seed, text=entry.cell.gaps[seed].value))
            continue
        value = entry.cell.values[seed]
        pair = reference.values.get(seed) if reference is not None and entry.delta else None
        lines.append(
            SeedLine(
                seed=seed,
                text=minus(column.text(value)),
                delta="" if pair is None else minus(column.difference(value - pair)),
                position=place(value, low, high),
            )
        )
    shown = column.shown(entry.cell.delta) if entry.delta and entry.cell.delta is not None else 0.0
    gain = -shown if column.direction == "down" else shown
    mean = reference.mean if reference is not None else None
    return CellView(
        entry=entry,
        column=column,
        seeds=tuple(lines),
        tone="good" if gain > 0 else "bad" if gain < 0 else "even",
        baseline_position=place(mean, low, high) if mean is not None else None,
    )


def place(value: float, low: float, high: float) -> float | None:
    """Where `value` lies between `low` and `high`, per cent with a margin; None where there is no range."""
    return round(EDGE + (100 - 2 * EDGE) * (value - low) / (high - low), 2) if high > low else None
