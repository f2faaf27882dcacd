"""Which figures suit a sweep.

An ablation gets bars; a grid a line over one numeric factor, a heat map over two factors, else bars; a search a Pareto
front, its parameters on parallel axes and their importance. All get learning curves if there are points, and per-class
differences if classes were scored.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from orchestrator.store.run_directory import RunDirectory
from orchestrator.store.sweep_results import SweepResults
from reports.figures.differences import bars_of_differences, bars_of_means, class_differences
from reports.figures.drawing import Drawing
from reports.figures.figure_data import FigureData, axis_title
from reports.figures.grids import factors_of, heatmap_of, is_full, is_numeric, line_over
from reports.figures.learning_curves import read_curves
from reports.figures.plots import BAND, Curve, Curves, Importance, Plot
from reports.figures.searches import parallel_coordinates, pareto_front
from reports.tables.columns import column_for
from reports.tables.row_headers import key_titles

__all__ = ["choose", "drawings_of"]

LOSS = "train/loss"
"""Metric of the points of the second figure of learning curves; the first is of the metric that is watched."""

MOST_CURVES = 8
"""Of more learning curves the baseline and the best rows are drawn."""


def drawings_of(
    results: SweepResults,
    directory: RunDirectory | None,
    *,
    importance: Mapping[str, float] | None = None,
    dark: bool = False,
) -> list[Drawing]:
    """The drawings of the figures that suit a sweep; with `dark`, also those that a page shows on a dark background.

    `importance` maps parameters of a search to shares. Without a run directory there are no learning curves.
    """
    plots = choose(results, directory, importance=importance)
    darks = (False, True) if dark else (False,)
    return [Drawing(figure=name, plot=plot, dark=is_dark) for name, plot in plots.items() for is_dark in darks]


def choose(
    results: SweepResults, directory: RunDirectory | None, *, importance: Mapping[str, float] | None = None
) -> dict[str, Plot]:
    """What the figures that suit a sweep show, by name; none if nothing was measured.

    A sweep over several data sets has those of each, as `camvid-means` (`figure_title`).
    """
    if len(results.sweep.data_sets) > 1:
        return {
            f"{part.sweep.data_sets[0].stem}-{name}": plot
            for part in results.parts
            for name, plot in choose(part, directory).items()
        }
    data = FigureData.of(results)
    found: dict[str, Plot] = {}
    if any(cell.n for cell in data.cells.values()):
        found.update(search_figures(data) if data.sweep.is_search else row_figures(data))
        classes = class_differences(data)
        if classes.rows:
            found["classes"] = classes
    if importance:
        names = key_titles(tuple(importance))
        found["importance"] = Importance(shares=dict(zip(names, importance.values(), strict=True)))
    if directory is not None:
        metrics = {"curves": results.sweep.watched_metric.name, "loss": LOSS}
        of_metrics = learning_curves(data, directory, [*metrics.values()])
        for name, metric in metrics.items():
            if any(len(curve.step_T) > 1 for curve in of_metrics[metric].curves):
                found[name] = of_metrics[metric]
    return found


def row_figures(data: FigureData) -> dict[str, Plot]:
    """The rows as a line, a heat map, or bars; with a baseline also the paired differences to it."""
    found: dict[str, Plot] = {}
    rows = [row for row in data.sweep.rows if row.label != data.sweep.baseline]
    factors = factors_of(rows) if data.sweep.method == "grid" else {}
    if len(factors) == 1 and is_numeric(next(iter(factors.values()))):
        found["factor"] = line_over(data, rows, next(iter(factors)))
    elif len(factors) == 2 and is_full(rows, factors):
        found["interaction"] = heatmap_of(data, rows, factors)
    else:
        found["means"] = bars_of_means(data)
    if data.baseline is not None and len(data.cells) > 1:
        found["differences"] = bars_of_differences(data, data.baseline)
    return found


def search_figures(data: FigureData) -> dict[str, Plot]:
    """The metric against a cost, if the trials report one, and their parameters, if there are two trials."""
    found: dict[str, Plot | None] = {"pareto": pareto_front(data), "parallel": parallel_coordinates(data)}
    return {name: plot for name, plot in found.items() if plot is not None}


def learning_curves(data: FigureData, directory: RunDirectory, metrics: Sequence[str]) -> dict[str, Curves]:
    """By metric, the curves of all rows, or of the baseline and the best."""
    labels = data.best(MOST_CURVES)
    sweep = data.sweep
    columns = {
        metric: column_for(metric, metrics=sweep.declared_metrics, metric=sweep.metric, goal=sweep.goal)
        for metric in metrics
    }
    curves = read_curves(directory, sweep, labels, {metric: column.scale for metric, column in columns.items()})
    note = "; ".join(filter(None, (BAND, data.of_all(labels))))
    return {
        metric: Curves(
            name=axis_title(column),
            curves=titled(curves[metric], data),
            note=note,
            data="; ".join(filter(None, (data.data_note, data.row_note))),
        )
        for metric, column in columns.items()
    }


def titled(curves: Sequence[Curve], data: FigureData) -> tuple[Curve, ...]:
    """The curves under the titles of their rows."""
    return tuple(replace(curve, label=data.titles[curve.label]) for curve in curves)
