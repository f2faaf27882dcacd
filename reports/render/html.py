"""A table as one self-contained HTML page: no requests, light and dark, wide and narrow screens.

Its only script sorts the table, loads the page of a running sweep again, and is allowed by its hash; the templates
escape every text of the table.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from orchestrator.store.running_sweep import RunningSweep
from orchestrator.store.sweep_record import title_of
from reports.render.markdown import minus
from reports.render.provenance import Provenance
from reports.render.running_curves import Chart
from reports.tables.aggregate import Cell
from reports.tables.cell_text import CellText
from reports.tables.columns import Column
from reports.tables.layout import p_text
from reports.tables.table import Table

__all__ = ["render_html"]

TEMPLATE = "page.html.jinja"
SCRIPT = "script.js.jinja"
SMALLEST_SHARE = 0.0005
RELOAD_SECONDS = 10
"""How often the page of a running sweep is loaded again."""
STALE_SECONDS = 900
"""A page that was not written for so long is of a sweep that has been killed, and is not loaded again."""
EDGE = 4.0
"""Margin left and right of the outermost seeds in a strip, per cent of its width."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SeedLine:
    """One seed of a cell, as the hover shows it."""

    seed: int
    text: str
    """Its value, or why there is none."""
    delta: str = ""
    position: float | None = None
    """Place in the strip, per cent; None without a value, or in a column without a strip."""
    trial_id: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class CellView:
    """One cell of the page."""

    cell_text: CellText
    column: Column
    seeds: tuple[SeedLine, ...]
    tone: str
    """`good` or `bad`: the direction of a significant difference; `even`: not significant, or not tested."""
    delta_width: int = 0
    """Characters reserved for the difference, so that the numbers of a column are aligned."""
    marks_width: int = 0
    """Characters reserved for ≈, †, ‡, § and ‖."""
    baseline_position: float | None = None
    """Place of the baseline's mean in the strip, per cent."""
    facts: tuple[str, ...] = ()
    """Interval and p of the difference."""

    @property
    def placed(self) -> bool:
        """Whether its seeds are drawn in a strip."""
        return any(line.position is not None for line in self.seeds)


def render_html(
    table: Table,
    provenance: Provenance | None = None,
    others: Sequence[Table] = (),
    *,
    running: RunningSweep | None = None,
    charts: Sequence[Chart] = (),
) -> str:
    """The whole page; `others` are shown below the figures.

    With `running`, it is the page of a running sweep, which shows `charts` and loads itself again.
    """
    paces = {"reload_seconds": RELOAD_SECONDS, "stale_seconds": STALE_SECONDS}
    script = environment().get_template(SCRIPT).render(running=running is not None, **paces).rstrip("\n")
    digest = base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode("ascii")
    return (
        environment()
        .get_template(TEMPLATE)
        .render(
            table=table,
            views=views_by_key(table),
            provenance=provenance or Provenance(),
            others=[(other, views_by_key(other)) for other in others],
            running=running,
            charts=charts,
            reload_seconds=RELOAD_SECONDS,
            script=script,
            script_hash=f"sha256-{digest}",
        )
        .lstrip("\n")
    )


@cache
def environment() -> Environment:
    """The templates, with every value escaped."""
    found = Environment(
        loader=FileSystemLoader(Path(__file__).parent),  # PackageLoader would find a folder reports/ of the user's
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    found.filters["minus"] = minus
    found.filters["percent"] = percent
    found.filters["first_placed"] = lambda views: any(view.placed for view in views.values())
    return found


def views_by_key(table: Table) -> dict[str, dict[str, CellView]]:
    """One view per row label and metric."""
    views: dict[str, dict[str, CellView]] = {row.label: {} for row in table.rows}
    for index, column in enumerate(table.columns):
        texts = {row.label: row.cell_texts[index] for row in table.rows}
        values = [value for text in texts.values() for value in text.cell.values.values()]
        limits = (min(values), max(values)) if values and column.ranked else (0.0, 0.0)
        reference = next((row.cell_texts[index].cell for row in table.rows if row.baseline), None)
        width = max((len(text.delta) + text.significant for text in texts.values() if text.delta), default=0)
        marks = max((len(text.marks) for text in texts.values()), default=0)
        for label, text in texts.items():
            view = view_cell(table.trials.get(title_of(label, column.data), {}), column, text, reference, limits)
            views[label][column.key] = replace(view, delta_width=width, marks_width=marks)
    return views


def view_cell(
    trials: Mapping[int, str], column: Column, cell_text: CellText, reference: Cell | None, limits: tuple[float, float]
) -> CellView:
    """A cell beside the baseline's cell `reference`, its seeds placed between `limits`, the range of the column."""
    low, high = limits
    lines = []
    for seed in sorted({*cell_text.cell.values, *cell_text.cell.gaps}):
        trial_id = trials.get(seed, "")
        if seed not in cell_text.cell.values:
            lines.append(SeedLine(seed=seed, text=cell_text.cell.gaps[seed].value, trial_id=trial_id))
            continue
        value = cell_text.cell.values[seed]
        pair = reference.values.get(seed) if reference is not None and cell_text.delta else None
        lines.append(
            SeedLine(
                seed=seed,
                text=minus(column.text(value)),
                delta="" if pair is None else minus(column.difference(value - pair)),
                position=place(value, low, high),
                trial_id=trial_id,
            )
        )
    shown = column.shown(cell_text.cell.delta) if cell_text.delta and cell_text.cell.delta is not None else 0.0
    gain = -shown if column.direction == "down" else shown
    mean = reference.mean if reference is not None else None
    return CellView(
        cell_text=cell_text,
        column=column,
        seeds=tuple(lines),
        tone="even" if not cell_text.significant else "good" if gain > 0 else "bad",
        baseline_position=place(mean, low, high) if mean is not None else None,
        facts=facts_of(cell_text),
    )


def facts_of(cell_text: CellText) -> tuple[str, ...]:
    """What the hover says about the difference."""
    found = cell_text.comparison
    if found is None or not cell_text.delta:
        return ()
    facts = [f"Δ {minus(cell_text.delta)}, 95% {minus(cell_text.interval)}"] if cell_text.interval else []
    if found.p_holm is not None:
        facts.append(
            f"p = {p_text(found.p_t)}, Holm {p_text(found.p_holm)}" if found.p_t else f"Holm p = {p_text(found.p_holm)}"
        )
    if found.untested is not None:
        facts.append(found.untested.value)
    return tuple(facts)


def percent(share: float | None) -> str:
    """A share as `3.9%`; `–` where there is none, and `< 0.1%` for what would be printed as zero."""
    if share is None:
        return "–"
    return "< 0.1%" if 0 < share < SMALLEST_SHARE else f"{100 * share:.1f}%"


def place(value: float, low: float, high: float) -> float | None:
    """Place of `value` between `low` and `high`, per cent with a margin; None without a range."""
    return round(EDGE + (100 - 2 * EDGE) * (value - low) / (high - low), 2) if high > low else None
