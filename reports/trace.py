"""How a cell came to be: its trials, their values, the arithmetic, the test, the code."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from orchestrator.errors import StoreError
from orchestrator.spec.settings import closest
from orchestrator.store.records import AttemptRecord, SweepRecord
from reports.stats import Comparison, compare_with, paired
from reports.tables.aggregate import Cell, aggregate
from reports.tables.cell_text import Mark, make_cell_texts, origins_of
from reports.tables.columns import column_for
from reports.tables.layout import p_text
from reports.tables.sequential import looks_of

__all__ = ["trace"]

MARKS = {
    Mark.ALIKE: "not distinguishable from the best",
    Mark.FEWER: "fewer seeds than planned",
    Mark.PROVISIONAL: "provisional",
    Mark.MIXED: "mixed code or data",
}


def trace(
    sweep: SweepRecord,
    outcomes: Mapping[str, AttemptRecord],
    row: str,
    metric: str,
    tracked: Mapping[str, tuple[str, str]] | None = None,
) -> str:
    """The account of the cell of `row` and `metric`, as text; `tracked` maps trial ids to MLflow runs.

    Raises StoreError when there is no such row or metric, naming the likely one.
    """
    labels = [item.label for item in sweep.rows]
    if row not in labels:
        raise StoreError(f"sweep {sweep.name!r}: no row {row!r}; {closest(row, labels)}")
    cells = aggregate(sweep, outcomes, metric)
    known = sorted({key for record in outcomes.values() for key in record.metrics})
    if known and metric not in known and not any(cell.n for cell in cells.values()):
        raise StoreError(f"sweep {sweep.name!r}: no metric {metric!r}; {closest(metric, known)}")
    column = column_for(metric, metric=sweep.metric, goal=sweep.goal)
    looks = looks_of(*sweep.looks) if sweep.looks is not None else None
    cell_text = make_cell_texts(column, cells, origins_of(sweep, outcomes), sweep.baseline, labels, looks)[row]
    lines = [f"{sweep.name} · {row} · {metric}", ""]
    lines += run_lines(sweep, outcomes, row, cells[row], tracked or {})
    lines += ["", *arithmetic(cells[row])]
    if cell_text.mean:
        shown = f"{cell_text.mean}{f' ± {cell_text.std}' if cell_text.std else ''}{f' ({cell_text.delta})' if cell_text.delta else ''}"
        rank = {Mark.BEST: ", best", Mark.SECOND: ", second"}.get(cell_text.rank, "")
        lines.append(f"shown as  {shown} {column.unit}".rstrip() + rank)
    lines += [f"mark      {MARKS[mark]}" for mark in cell_text.marks]
    if sweep.baseline is not None and row != sweep.baseline and cells[row].n and cells[sweep.baseline].n:
        lines += ["", *difference_lines(sweep, cells, row)]
    return "\n".join(lines) + "\n"


def run_lines(
    sweep: SweepRecord,
    outcomes: Mapping[str, AttemptRecord],
    row: str,
    cell: Cell,
    tracked: Mapping[str, tuple[str, str]],
) -> list[str]:
    """One line per planned seed."""
    table = [["seed", "trial", "attempt", "state", "value", "commit", "data", "MLflow run", "shared with"]]
    for planned in sweep.cells:
        if planned.row != row:
            continue
        record = outcomes.get(planned.trial_id)
        facts = record.environment if record is not None else {}
        commit = facts.get("commit", "")[:10] + ("+" + facts["diff"][:7] if facts.get("diff") else "")
        value = cell.values.get(planned.seed)
        others = [item.row for item in sweep.cells if item.trial_id == planned.trial_id and item.row != row]
        table.append(
            [
                str(planned.seed),
                planned.trial_id,
                str(record.attempt) if record is not None else "-",
                record.state.value if record is not None else "not run",
                cell.gaps[planned.seed].value if value is None else repr(value),
                commit or "-",
                facts.get("data", "")[:10] or "-",
                tracked.get(planned.trial_id, ("-", ""))[0],
                ", ".join(others) or "-",
            ]
        )
    kept = [place for place in range(len(table[0])) if place < 5 or any(line[place] != "-" for line in table[1:])]
    widths = [max(len(line[place]) for line in table) for place in kept]
    return [
        "  ".join(line[place].ljust(width) for place, width in zip(kept, widths, strict=True)).rstrip()
        for line in table
    ]


def arithmetic(cell: Cell) -> list[str]:
    """Mean and standard deviation, step by step."""
    values = list(cell.values.values())
    mean, std = cell.mean, cell.std
    if mean is None:
        return ["no value: no planned run has one"]
    terms = " + ".join(f"{value:.6g}" for value in values)
    lines = [f"mean      ({terms}) / {len(values)} = {mean:.6g}"]
    if std is not None:
        squares = math.fsum((value - mean) ** 2 for value in values)
        lines.append(f"std       sqrt({squares:.6g} / ({len(values)} - 1)) = {std:.6g}")
    lines.append(f"n         {cell.n} of {cell.expected} planned seeds")
    return lines


def difference_lines(sweep: SweepRecord, cells: Mapping[str, Cell], row: str) -> list[str]:
    """The paired differences to the baseline and what the test makes of them."""
    baseline = sweep.baseline or ""
    seeds, difference_N = paired(cells[row].values, cells[baseline].values)
    if not seeds:
        return [f"against “{baseline}”: no seed in common"]
    values = {label: cell.values for label, cell in cells.items()}
    looks = looks_of(*sweep.looks) if sweep.looks is not None else None
    found = compare_with(baseline, values, np.random.default_rng(0), looks=looks)[row]
    parts = ", ".join(f"seed {seed}: {value:+.6g}" for seed, value in zip(seeds, difference_N, strict=True))
    lines = [f"against “{baseline}”", f"pairs     {parts}", f"mean      {difference_N.mean():+.6g}"]
    return lines + test_lines(found, len(cells) - 1)


def test_lines(found: Comparison, rows: int) -> list[str]:
    """Interval, p and how many seeds a decision needs."""
    lines = []
    if found.interval is not None:
        ends = f"[{found.interval.low:+.6g}, {found.interval.high:+.6g}]"
        lines.append(f"interval  95 % {ends} ({found.interval.method})")
    if found.p_t is not None:
        lines.append(f"p         {p_text(found.p_t)} paired t, {p_text(found.p_holm)} after Holm over {rows} rows")
    if found.p_flip is not None:
        lines.append(f"          {p_text(found.p_flip)} by sign flips")
    if found.untested is not None:
        lines.append(f"test      {found.untested.value}")
    if found.seeds_needed is not None:
        lines.append(f"seeds     about {found.seeds_needed} would resolve a difference of this size four times in five")
    return lines
