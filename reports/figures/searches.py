"""What the figures of a search show: its metric against a cost, and the parameters of its trials."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reports.figures.figure_data import FigureData, axis_title
from reports.figures.plots import Parallel, ParallelAxis, Pareto, ParetoPoint
from reports.tables.aggregate import aggregate
from reports.tables.columns import column_for, in_readable_time
from reports.tables.row_headers import factor_text, key_titles

__all__ = ["parallel_coordinates", "pareto_front"]

COSTS = ("cost/gpu_hours", "cost/train_minutes", "cost/parameters_millions")
"""The x axis of a Pareto front: the first of these that the trials report."""
MOST_LINES = 300
"""Of more trials the best are drawn."""
MOST_TICKS = 5
ABSENT = 0.15
"""Where the numbers begin on an axis from 0 to 1, if a trial lacks the parameter."""
APART = 0.08
"""Smallest distance of two ticks on an axis from 0 to 1."""


def pareto_front(data: FigureData) -> Pareto | None:
    """The metric against a cost; None if the trials report none."""
    for key in COSTS:
        costs = aggregate(data.results, key)
        if any(cell.n for cell in costs.values()):
            column = column_for(
                key, metrics=data.sweep.declared_metrics, metric=data.sweep.metric, goal=data.sweep.goal
            )
            column = in_readable_time(column, (cost.mean for cost in costs.values()))
            points = tuple(
                ParetoPoint(label=label, x=cost.mean * column.scale, y=cell.mean * data.column.scale)
                for (label, cell), cost in zip(data.cells.items(), costs.values(), strict=True)
                if cell.mean is not None and cost.mean is not None
            )
            return Pareto(
                x_name=axis_title(column),
                y_name=data.title,
                points=points,
                x_up=column.direction == "up",
                y_up=data.sweep.goal != "minimize",
            )
    return None


def parallel_coordinates(data: FigureData) -> Parallel | None:
    """An axis for each parameter that the trials vary and one for the metric; None with fewer than two trials.

    Trials with a value of the metric are drawn, the best last; the baseline has no drawn parameters.
    """
    ranked = [label for label in data.ranking() if label != data.sweep.baseline]
    labels = list(reversed(ranked[:MOST_LINES]))
    rows = {row.label: row for row in data.sweep.rows}
    parameters = data.sweep.search.get("parameters", ())
    names = key_titles([item["key"] for item in parameters])
    axes = []
    for item, name in zip(parameters, names, strict=True):
        key = item["key"]
        values = [rows[label].titles.get(key, rows[label].factors.get(key)) for label in labels]
        if len({repr(value) for value in values}) > 1:
            axes.append(axis_of(name, values, log=str(item["kind"]).endswith("log_uniform")))
    if len(labels) < 2 or not axes:
        return None
    means = [float(data.cells[label].mean or 0.0) * data.column.scale for label in labels]
    note = f"the {MOST_LINES} best of {len(ranked)} trials" if len(ranked) > MOST_LINES else f"{len(ranked)} trials"
    return Parallel(
        axes=(*axes, axis_of(data.title, means, log=False)),
        up=data.sweep.goal != "minimize",
        note="; ".join(filter(None, (data.data_note, f"A line per trial, {note}; blue: better; dashed: the best"))),
    )


def axis_of(name: str, values: Sequence[Any], *, log: bool) -> ParallelAxis:
    """The places of the values of one axis: numbers on a linear or log scale, anything else as evenly spaced levels.

    A trial without the parameter, whose value is None, is at the bottom of the numbers.
    """
    known = [value for value in values if value is not None]
    numeric = all(isinstance(value, int | float) and not isinstance(value, bool) for value in known)
    if not numeric or len(set(known)) < 2:
        levels = sorted({level_of(value) for value in values})
        spread = max(len(levels) - 1, 1)
        places = [levels.index(level_of(value)) / spread for value in values]
        return ParallelAxis(
            name=name, place_T=tuple(places), ticks=tuple((at / spread, text) for at, text in enumerate(levels))
        )
    log = log and min(known) > 0
    value_K = np.array([math.log10(value) if log else float(value) for value in known])
    low, high = float(value_K.min()), float(value_K.max())
    bottom = 0.0 if len(known) == len(values) else ABSENT
    place_K = bottom + (1 - bottom) * (value_K - low) / (high - low)
    ticks = [] if not bottom else [(0.0, level_of(None))]
    for place in tick_places(place_K):
        at = low + (place - bottom) / (1 - bottom) * (high - low)
        ticks.append((place, rounded(10**at if log else at)))
    remaining = iter(place_K.tolist())
    places = [0.0 if value is None else next(remaining) for value in values]
    return ParallelAxis(name=name, place_T=tuple(places), ticks=tuple(ticks))


def rounded(value: float) -> str:
    """A number with three digits: `0.0316`, `5000`."""
    return f"{float(f'{value:.3g}'):.10g}"


def tick_places(place_K: NDArray[np.float64]) -> list[float]:
    """The values themselves if they are few and apart, else evenly spaced places over their range."""
    own = np.unique(place_K)
    if len(own) <= MOST_TICKS and np.diff(own).min() >= APART:
        return [float(place) for place in own]
    return [float(place) for place in np.linspace(own[0], own[-1], MOST_TICKS)]


def level_of(value: Any) -> str:
    """A level of a categorical parameter; a dash for trials without it."""
    return "–" if value is None else factor_text(value)
