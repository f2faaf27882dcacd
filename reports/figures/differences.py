"""Rows as bars: their means and their paired differences to the baseline; differences of the classes."""

from __future__ import annotations

from collections.abc import Sequence

from orchestrator.workload.metric import class_families
from reports.figures.figure_data import FigureData, estimate_of, gaps_of, interval_note
from reports.figures.plots import BarRow, Bars, ClassBars, Estimate
from reports.stats.comparisons import compare_with
from reports.stats.pairs import MIN_SEEDS, paired
from reports.tables.aggregate import aggregate
from reports.tables.class_table import MOST_ROWS as COMPARED_ROWS
from reports.tables.class_table import compare_classes, never_right
from reports.tables.row_headers import row_titles
from reports.tables.sequential import looks_of

__all__ = ["bars_of_differences", "bars_of_means", "class_differences"]


MOST_ROWS = 40
"""Of more rows than fit on a page the baseline and the best are drawn."""


def bars_of_means(data: FigureData) -> Bars:
    """The rows in the order of the table."""
    labels = data.best(MOST_ROWS)
    rows = tuple(
        BarRow(
            label=data.titles[label],
            estimate=data.estimate(label),
            baseline=label == data.sweep.baseline,
            note=gaps_of(data.cells[label]),
        )
        for label in labels
    )
    return Bars(name=data.on_data(data.title), rows=rows, note=note_of(data, labels, "mean", "seeds"))


def bars_of_differences(data: FigureData, baseline: str) -> Bars:
    """Paired differences to the baseline: seeds as dots, the interval of their mean."""
    labels = data.best(MOST_ROWS)
    values = {label: data.cells[label].values for label in labels}
    scale = data.column.scale
    rows = []
    for label, item in compare_with(baseline, values).items():
        _, difference_N = paired(values[label], values[baseline])
        estimate = Estimate(
            values=tuple(map(float, difference_N * scale)),
            interval=(item.interval.low * scale, item.interval.high * scale) if item.interval else None,
        )
        note = gaps_of(data.cells[label]) or str(item.untested or "")
        rows.append(BarRow(label=data.titles[label], estimate=estimate, note=note))
    note = note_of(data, labels, "mean difference", "seed pairs")
    return Bars(name=f"Δ {data.on_data(data.title)} to “{data.titles[baseline]}”", rows=tuple(rows), note=note)


def note_of(data: FigureData, labels: Sequence[str], middle: str, dots: str) -> str:
    """What the interval and the dots are, and which rows are left out."""
    return "; ".join(filter(None, (data.row_note, interval_note(data, middle, dots), data.of_all(labels))))


def class_differences(data: FigureData) -> ClassBars:
    """The best row against the baseline, class by class, without classes that are never right, as in the table.

    Empty without a baseline or scored classes.
    """
    others = [label for label in data.ranking() if label != data.sweep.baseline]
    families = class_families(data.sweep.declared_metrics)
    if data.baseline is None or not others or not families:
        return ClassBars(name="", rows=())
    family = families[0]
    metrics = dict.fromkeys(key for outcome in data.results.outcomes.values() for key in outcome.metrics)
    cells = {key.removeprefix(family.name): aggregate(data.results, key) for key in metrics if family.covers(key)}
    compared = compare_classes(cells, data.baseline, others[:COMPARED_ROWS], looks_of(data.sweep))[others[0]]
    classes = []
    never = [] if family.direction == "down" else never_right(cells)
    for label, by_row in cells.items():
        if label in never:
            continue
        _, difference_N = paired(by_row[others[0]].values, by_row[data.baseline].values)
        if len(difference_N):
            classes.append(BarRow(label=label, estimate=estimate_of(difference_N * family.scale)))
    unit = f" ({family.unit})" if family.unit else ""
    titles = row_titles(data.sweep)
    rows = f"“{titles[others[0]]}” to “{titles[data.baseline]}”"
    name = f"{data.on_data(f'Δ {family.family_title}{unit}')}: {rows}"
    note = f"Fewer than {MIN_SEEDS} seeds: no test"
    if any(item.estimate.interval for item in classes):
        note = "95% intervals, each for itself; grey: not significant (Holm over rows × classes)"
    return ClassBars(
        name=name,
        rows=tuple(classes),
        note=note,
        significant=tuple(label for label, found in compared.items() if found.distinguishable),
    )
