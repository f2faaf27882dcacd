"""How a cell was computed: its trials, their values, the arithmetic, the test, the code."""

from __future__ import annotations

import math
from collections.abc import Mapping

from orchestrator.errors import StoreError
from orchestrator.spec.settings import closest
from orchestrator.store.records import title_of
from orchestrator.store.sweep_results import SweepResults
from reports.render.provenance import Tracked
from reports.stats.comparisons import Comparison, compare_with
from reports.stats.looks import Looks
from reports.stats.p_values import ALPHA
from reports.stats.pairs import paired
from reports.stats.power import detectable_difference, seeds_needed
from reports.tables.aggregate import Cell, aggregate
from reports.tables.cell_text import Mark, make_cell_texts
from reports.tables.columns import column_for
from reports.tables.layout import p_text
from reports.tables.missing_runs import rows_by_trial
from reports.tables.origin import origins_of
from reports.tables.selection import mark_chosen
from reports.tables.sequential import looks_of
from reports.tables.table import shown_rows, table_columns

__all__ = ["trace"]

MARKS = {
    Mark.ALIKE: "not distinguishable from the row it is compared with",
    Mark.FEWER: "fewer seeds than planned",
    Mark.PROVISIONAL: "provisional",
    Mark.MIXED: "mixed code or data, or other code of the trainer",
    Mark.CHOSEN: "chosen on this split",
}


def trace(results: SweepResults, row: str, metric: str, tracked: Tracked | None = None) -> str:
    """How the cell of `row` and `metric` was computed, as text; `tracked` maps trial ids to MLflow runs.

    In a sweep over several data sets, the cell on each. Raises StoreError, suggesting the closest name, when there is
    no such row or metric.
    """
    if len(results.sweep.data_sets) > 1:
        return "\n".join(trace(part, row, metric, tracked) for part in results.parts)
    sweep = results.sweep
    labels = [item.label for item in sweep.rows]
    if row not in labels:
        raise StoreError(f"sweep {sweep.name!r}: no row {row!r}; {closest(row, labels)}")
    cells = aggregate(results, metric)
    known = sorted({key for record in results.outcomes.values() for key in record.metrics})
    if known and metric not in known and not any(cell.n for cell in cells.values()):
        raise StoreError(f"sweep {sweep.name!r}: no metric {metric!r}; {closest(metric, known)}")
    columns = {column.key: column for column in table_columns(sweep)}
    column = columns.get(metric) or column_for(
        metric, metrics=sweep.declared_metrics, metric=sweep.metric, goal=sweep.goal
    )
    printed, looks = {item.label for item in shown_rows(results)} | {row}, looks_of(sweep)
    texts = make_cell_texts(column, cells, origins_of(results), sweep.baseline, printed, looks)
    text = mark_chosen(sweep, metric, texts)[row]
    data = sweep.data_sets[0].name if sweep.data_sets else ""
    lines = [f"{sweep.name} · {title_of(row, data)} · {metric}", ""]
    lines += run_lines(results, row, cells[row], tracked or {})
    lines += ["", *arithmetic(cells[row])]
    if text.mean:
        shown = f"{text.mean}{f' ± {text.std}' if text.std else ''}{f' ({text.delta})' if text.delta else ''}"
        rank = {Mark.BEST: ", best", Mark.SECOND: ", second"}.get(text.rank, "")
        lines.append(f"shown as  {shown} {column.unit}".rstrip() + rank)
    lines += [f"mark      {MARKS[mark]}" for mark in text.marks]
    if sweep.baseline is not None and row != sweep.baseline and cells[row].n and cells[sweep.baseline].n:
        values = {label: cell.values for label, cell in cells.items()}
        # the table does not test a cost
        found = text.comparison or compare_with(sweep.baseline, values, looks=looks)[row]
        lines += ["", *difference_lines(cells, row, sweep.baseline, found, looks)]
    return "\n".join(lines) + "\n"


def run_lines(results: SweepResults, row: str, cell: Cell, tracked: Tracked) -> list[str]:
    """One line per planned seed."""
    table = [["seed", "trial", "attempt", "state", "value", "commit", "code", "data", "MLflow run", "shared with"]]
    for (trial_id, seed), rows in rows_by_trial(results.sweep).items():
        if row not in rows:
            continue
        record = results.outcomes.get(trial_id)
        facts = record.environment if record is not None else {}
        commit = facts.get("commit", "")[:10] + ("+" + facts["diff"][:7] if facts.get("diff") else "")
        value = cell.values.get(seed)
        table.append(
            [
                str(seed),
                trial_id,
                str(record.attempt) if record is not None else "-",
                record.state.value if record is not None else "not run",
                cell.gaps[seed].value if value is None else repr(value),
                commit or "-",
                facts.get("code", "") or "-",
                facts.get("data", "")[:10] or "-",
                tracked.get(trial_id, ("-", ""))[0],
                ", ".join(label for label in rows if label != row) or "-",
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


def difference_lines(
    cells: Mapping[str, Cell], row: str, baseline: str, found: Comparison, looks: Looks | None
) -> list[str]:
    """The paired differences to the baseline and their test."""
    seeds, difference_N = paired(cells[row].values, cells[baseline].values)
    if not seeds:
        return [f"against “{baseline}”: no seed in common"]
    parts = ", ".join(f"seed {seed}: {value:+.6g}" for seed, value in zip(seeds, difference_N, strict=True))
    lines = [f"against “{baseline}”", f"pairs     {parts}", f"mean      {difference_N.mean():+.6g}"]
    if found.interval is not None:
        lines.append(f"interval  95% [{found.interval.low:+.6g}, {found.interval.high:+.6g}] (Student's t)")
    if found.untested is not None:
        lines.append(f"test      {found.untested.value}")
    if found.p_t is None or found.spread is None:
        return lines
    test = "paired t" if looks is None else "paired t at every look"
    over = f"Holm over {found.family} comparison{'s' if found.family > 1 else ''}"
    lines.append(f"p         {p_text(found.p_t)} {test}, {p_text(found.p_holm)} after {over}")
    if looks is None:
        level = ALPHA / found.family
        lines.append(f"could see {detectable_difference(found.spread, found.n, level):.6g} four times in five")
        needed = seeds_needed(float(difference_N.mean()), found.spread, level)
        lines += [f"seeds     about {needed} would show a difference of this size four times in five"] if needed else []
    return lines
