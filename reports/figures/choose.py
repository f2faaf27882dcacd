"""Which figures suit a sweep, written as files.

An ablation gets bars; a grid a line over one numeric factor, a heat map over two factors, else bars; a search a Pareto
front and the importance of its parameters. All get learning curves if there are points, and per-class differences if
classes were scored.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from matplotlib.figure import Figure

from orchestrator.errors import StoreError
from orchestrator.store.disk_errors import disk_remedy
from orchestrator.store.run_directory import RunDirectory
from orchestrator.store.sweep_results import SweepResults
from reports.figures.bars import draw_bars
from reports.figures.classes import draw_classes
from reports.figures.curves import BAND, Curves, draw_curves, read_curves
from reports.figures.differences import bars_of_differences, bars_of_means, class_differences
from reports.figures.figure_data import FigureData
from reports.figures.grids import factors_of, heatmap_of, is_full, is_numeric, line_over
from reports.figures.heatmap import draw_heatmap
from reports.figures.importance import draw_importance
from reports.figures.line import draw_line
from reports.figures.pareto import Pareto, ParetoPoint, draw_pareto
from reports.figures.save import FORMATS, save
from reports.figures.style import COLUMN, DARK, LIGHT, PAGE
from reports.tables.aggregate import aggregate
from reports.tables.columns import column_for
from reports.tables.layout import Header

__all__ = ["Draw", "choose", "write_figures"]

COSTS = ("cost/gpu_hours", "cost/train_minutes", "cost/parameters_millions")
"""The x axis of a Pareto front: the first of these that the trials report."""

LOSS = "train/loss"
"""Metric of the points of the second figure of learning curves; the first is of the metric that is watched."""

MOST_CURVES = 8
"""Of more learning curves the baseline and the best rows are drawn."""

WIDE_MAP = 6
"""A heat map of more levels is as wide as both columns of the page."""

Draw = Callable[..., Figure]
"""Draws a figure of given data; takes `style=` and `width=`."""


def write_figures(
    results: SweepResults,
    directory: RunDirectory,
    out: Path,
    *,
    importance: Mapping[str, float] | None = None,
    dark: bool = False,
) -> dict[str, dict[str, Path]]:
    """Write the figures that suit a sweep into the folder `out`; returns name -> format -> path.

    `importance` maps parameters of a search to shares. With `dark`, each figure is also written as `<name>-dark.svg`,
    which a page shows on a dark background. Raises StoreError when the folder cannot be written.
    """
    paths: dict[str, dict[str, Path]] = {}
    styles = [("", LIGHT, FORMATS), *([("-dark", DARK, ("svg",))] if dark else [])]
    for name, draw in choose(results, directory, importance=importance).items():
        for suffix, style, formats in styles:
            try:
                paths[name + suffix] = save(draw(style=style), out / f"{name}{suffix}", formats)
            except OSError as error:
                remedy = disk_remedy(error, out) or "use another --out"
                text = f"{out / name}{suffix}: cannot be written ({error.strerror or error}); {remedy}"
                raise StoreError(text) from error
    return paths


def choose(
    results: SweepResults, directory: RunDirectory, *, importance: Mapping[str, float] | None = None
) -> dict[str, Draw]:
    """The figures that suit a sweep, by name, ready to be drawn in a style; none if nothing was measured.

    A sweep over several data sets has those of each, as `camvid-means` (`figure_title`).
    """
    if len(results.sweep.data_sets) > 1:
        return {
            f"{part.sweep.data_sets[0].stem}-{name}": draw
            for part in results.parts
            for name, draw in choose(part, directory).items()
        }
    data = FigureData.of(results)
    found: dict[str, Draw] = {}
    if any(cell.n for cell in data.cells.values()):
        found.update(search_figures(data) if data.sweep.is_search else row_figures(data))
        classes = class_differences(data)
        if classes.rows:
            found["classes"] = partial(draw_classes, classes)
    if importance:
        found["importance"] = partial(draw_importance, importance)
    for name, metric in (("curves", results.sweep.watched_metric.name), ("loss", LOSS)):
        curves = learning_curves(data, directory, metric)
        if any(len(curve.step_T) > 1 for curve in curves.curves):
            found[name] = partial(draw_curves, curves)
    return found


def row_figures(data: FigureData) -> dict[str, Draw]:
    """The rows as a line, a heat map, or bars; with a baseline also the paired differences to it."""
    found: dict[str, Draw] = {}
    rows = [row for row in data.sweep.rows if row.label != data.sweep.baseline]
    factors = factors_of(rows) if data.sweep.method == "grid" else {}
    if len(factors) == 1 and is_numeric(next(iter(factors.values()))):
        found["factor"] = partial(draw_line, line_over(data, rows, next(iter(factors))))
    elif len(factors) == 2 and is_full(rows, factors):
        heatmap = heatmap_of(data, rows, factors)
        width = PAGE if len(heatmap.x_levels) > WIDE_MAP else COLUMN
        found["interaction"] = partial(draw_heatmap, heatmap, width=width)
    else:
        found["means"] = partial(draw_bars, bars_of_means(data))
    if data.baseline is not None and len(data.cells) > 1:
        found["differences"] = partial(draw_bars, bars_of_differences(data, data.baseline))
    return found


def search_figures(data: FigureData) -> dict[str, Draw]:
    """The metric against a cost, if the trials report one."""
    for key in COSTS:
        costs = aggregate(data.results, key)
        if any(cell.n for cell in costs.values()):
            column = column_for(
                key, metrics=data.sweep.declared_metrics, metric=data.sweep.metric, goal=data.sweep.goal
            )
            points = tuple(
                ParetoPoint(label=label, x=cost.mean * column.scale, y=cell.mean * data.column.scale)
                for (label, cell), cost in zip(data.cells.items(), costs.values(), strict=True)
                if cell.mean is not None and cost.mean is not None
            )
            pareto = Pareto(
                x_name=f"{column.header} {column.arrow}",
                y_name=data.title,
                points=points,
                x_up=column.direction == "up",
                y_up=data.sweep.goal != "minimize",
            )
            return {"pareto": partial(draw_pareto, pareto)}
    return {}


def learning_curves(data: FigureData, directory: RunDirectory, metric: str) -> Curves:
    """Curves of all rows, or of the baseline and the best."""
    labels = data.best(MOST_CURVES)
    column = column_for(metric, metrics=data.sweep.declared_metrics, metric=data.sweep.metric, goal=data.sweep.goal)
    curves = read_curves(directory, data.sweep, labels, metric, column.scale)
    note = "; ".join(part for part in (BAND, data.of_all(labels)) if part)
    return Curves(name=Header.of(column).label, curves=curves, note=note, data=data.data_note)
