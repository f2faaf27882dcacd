"""How a cell was computed: its trials, their values, the arithmetic, the test, the code."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from orchestrator.machine.first_few import first_few
from orchestrator.machine.text_table import Line, Part, TextTable
from orchestrator.store.sweep_record import title_of
from orchestrator.store.sweep_results import SweepResults
from reports.render.provenance import Tracked
from reports.stats.comparisons import Comparison, compare_with
from reports.stats.looks import Looks
from reports.stats.p_values import ALPHA
from reports.stats.pairs import paired
from reports.stats.power import POWER, detectable_difference, seeds_needed
from reports.tables.aggregate import Cell, aggregate
from reports.tables.cell_text import Mark, make_cell_texts
from reports.tables.columns import column_for
from reports.tables.layout import p_text
from reports.tables.metric_words import find_metric, find_row
from reports.tables.missing_runs import rows_by_trial
from reports.tables.origin import origins_of
from reports.tables.selection import mark_chosen
from reports.tables.sequential import looks_of
from reports.tables.table import shown_rows, table_columns

__all__ = ["trace"]

MOST_SEEDS = 6
"""Seeds that are shown without `--all`."""
OWN = ("seed", "value", "trial")
"""Columns that are shown even if all their values are equal."""
MARKS = {
    Mark.ALIKE: "not distinguishable from the row it is compared with",
    Mark.FEWER: "fewer seeds than planned",
    Mark.PROVISIONAL: "provisional",
    Mark.MIXED: "mixed code or data, or other code of the trainer",
    Mark.CHOSEN: "chosen on this split",
}


def trace(
    results: SweepResults, row: str, metric: str, tracked: Tracked | None = None, *, every: bool = False
) -> list[Part]:
    """How a cell was computed: what the table shows, then its trials, the arithmetic and the test.

    `row` and `metric` are names or the words of the table (`metric_words`); `tracked` maps trial ids to MLflow runs;
    `every`: all seeds, of however many. In a sweep over several data sets, the cell on each. Raises StoreError,
    suggesting the closest names, when there is no such row or metric.
    """
    if len(results.sweep.data_sets) > 1:
        found = [trace(part, row, metric, tracked, every=every) for part in results.parts]
        return [line for number, parts in enumerate(found) for line in (*([""] if number else []), *parts)]
    sweep = results.sweep
    row, metric = find_row(sweep, row), find_metric(results, metric)
    cells = aggregate(results, metric)
    columns = {column.key: column for column in table_columns(sweep)}
    column = columns.get(metric) or column_for(
        metric, metrics=sweep.declared_metrics, metric=sweep.metric, goal=sweep.goal
    )
    printed, looks = {item.label for item in shown_rows(results)} | {row}, looks_of(sweep)
    texts = make_cell_texts(column, cells, origins_of(results), sweep.baseline, printed, looks)
    text = mark_chosen(sweep, metric, texts)[row]
    data = sweep.data_sets[0].name if sweep.data_sets else ""
    named = f"{column.name} ({metric})" if column.name != metric else metric
    parts: list[Part] = [Line(f"{sweep.name} · {title_of(row, data)} · {named}", "bold")]
    if text.mean:
        shown = f"{text.mean}{f' ± {text.std}' if text.std else ''}{f' ({text.delta})' if text.delta else ''}"
        rank = {Mark.BEST: ", best", Mark.SECOND: ", second"}.get(text.rank, "")
        parts.append(Line(f"shown as  {shown} {column.unit}".rstrip() + rank, "bold"))
    parts += [f"mark      {MARKS[mark]}" for mark in text.marks]
    most = None if every else MOST_SEEDS
    parts += ["", *describe_runs(results, row, cells[row], tracked or {}, most)]
    parts += ["", *arithmetic(cells[row], most)]
    if sweep.baseline is not None and row != sweep.baseline and cells[row].n and cells[sweep.baseline].n:
        values = {label: cell.values for label, cell in cells.items()}
        # the table does not test a cost
        comparison = text.comparison or compare_with(sweep.baseline, values, looks=looks)[row]
        parts += ["", *difference_lines(cells, row, sweep.baseline, comparison, looks, most)]
    return parts


def describe_runs(results: SweepResults, row: str, cell: Cell, tracked: Tracked, most: int | None) -> Iterator[Part]:
    """A line per planned seed; what is the same for all of them is in one line below."""
    runs = {key: rows for key, rows in rows_by_trial(results.sweep).items() if row in rows}
    lines = []
    for (trial_id, seed), rows in runs.items():
        record = results.outcomes.get(trial_id)
        facts = record.environment if record is not None else {}
        commit = facts.get("commit", "")[:10] + ("+" + facts["diff"][:7] if facts.get("diff") else "")
        value = cell.values.get(seed)
        lines.append(
            {
                "seed": str(seed),
                "value": cell.gaps[seed].value if value is None else repr(value),
                "trial": trial_id,
                "state": record.state.words if record is not None else "not run",
                "attempt": str(record.attempt) if record is not None else "",
                "commit": commit,
                "code": facts.get("code", ""),
                "data": facts.get("data", "")[:10],
                "MLflow run": tracked.get(trial_id, ("", ""))[0],
                "shared with": first_few([label for label in rows if label != row], most or len(rows)),
            }
        )
    if not lines:
        return
    same = [name for name in lines[0] if name not in OWN and len({line[name] for line in lines}) == 1]
    header = [name for name in lines[0] if name not in same]
    cells = [[line[name] or "–" for name in header] for line in lines[:most]]
    yield TextTable(header=header, rows=cells, right=frozenset({header.index("seed")}))
    if len(cells) < len(lines):
        yield f"and {len(lines) - len(cells)} more; --all lists them"
    if alike := [lines[0][name] if name == "state" else f"{name} {lines[0][name]}" for name in same if lines[0][name]]:
        yield f"each      {', '.join(alike)}"


def arithmetic(cell: Cell, most: int | None) -> list[str]:
    """Mean and standard deviation, step by step, with the first `most` values."""
    values = list(cell.values.values())
    mean, std = cell.mean, cell.std
    if mean is None:
        return ["no value: no planned run has one"]
    terms = " + ".join(f"{value:.6g}" for value in values[:most])
    if most is not None and len(values) > most:
        terms += f" + {len(values) - most} more"
    lines = [f"mean      ({terms}) / {len(values)} = {mean:.6g}"]
    if std is not None:
        squares = math.fsum((value - mean) ** 2 for value in values)
        lines.append(f"std       sqrt({squares:.6g} / ({len(values)} - 1)) = {std:.6g}")
    lines.append(f"n         {cell.n} of {cell.expected} planned seeds")
    return lines


def difference_lines(
    cells: Mapping[str, Cell], row: str, baseline: str, found: Comparison, looks: Looks | None, most: int | None
) -> list[str]:
    """The paired differences to the baseline, the first `most` of them one by one, and their test."""
    seeds, difference_N = paired(cells[row].values, cells[baseline].values)
    if not seeds:
        return [f"against “{baseline}”: no seed in common"]
    pairs = [f"seed {seed}: {value:+.6g}" for seed, value in zip(seeds, difference_N, strict=True)]
    lines = [
        f"against “{baseline}”",
        f"pairs     {first_few(pairs, most or len(pairs))}",
        f"mean      {difference_N.mean():+.6g}",
    ]
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
        detectable = detectable_difference(found.spread, found.n, level)
        lines.append(f"power     {POWER:.0%} for a difference of {detectable:.6g}, the smallest detectable")
        needed = seeds_needed(float(difference_N.mean()), found.spread, level)
        lines += [f"seeds     about {needed} for {POWER:.0%} power at this difference"] if needed else []
    return lines
