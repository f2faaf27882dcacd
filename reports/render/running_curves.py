"""Learning curves on the page of a running sweep: plain SVG, because matplotlib would take CPU time from the trials.

The figures of a finished sweep are those of `reports.figures`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from orchestrator.store.running_sweep import Curve, RunningSweep
from orchestrator.store.sweep_record import title_of
from orchestrator.store.sweep_results import SweepResults
from reports.tables.aggregate import aggregate, rank_rows
from reports.tables.columns import column_for

__all__ = ["Chart", "Line", "charts_of"]

WIDTH, HEIGHT = 460.0, 220.0
LEFT, RIGHT, TOP, BOTTOM = 48.0, 8.0, 8.0, 22.0
"""Margins of the axes, in the units of the view box."""
MOST_ROWS = 6
"""As many colours there are: the baseline and the best rows so far are drawn."""
Y_TICKS, X_TICKS = 4, 3
NAMES = {"train/loss": "Training loss"}
"""Of metrics that no workload declares."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """One row."""

    label: str
    mean: str
    """Points of a polyline."""
    band: str
    """Points of a polygon between the lowest and the highest seed; empty with one seed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Chart:
    """One metric over the steps."""

    name: str
    lines: tuple[Line, ...]
    x_ticks: tuple[tuple[float, str], ...]
    """Places in the view box, and their text."""
    y_ticks: tuple[tuple[float, str], ...]


def charts_of(results: SweepResults, running: RunningSweep) -> tuple[Chart, ...]:
    """A chart of each metric of which a trial has reported two points or more."""
    found = (chart_of(part, metric, curves) for part in results.parts for metric, curves in running.curves.items())
    return tuple(chart for chart in found if chart is not None)


def chart_of(results: SweepResults, metric: str, curves: Mapping[str, Curve]) -> Chart | None:
    """The curves of one metric: of each row the mean of the seeds that have reported a step, and their range."""
    sweep = results.sweep
    column = column_for(metric, metrics=sweep.declared_metrics, metric=sweep.metric, goal=sweep.goal)
    ranking = rank_rows(sweep, aggregate(results, sweep.metric))
    labels = dict.fromkeys([*ranking, *(row.label for row in sweep.rows)])
    summaries: dict[str, list[tuple[int, float, float, float]]] = {}
    for label in sorted(labels, key=lambda label: label != sweep.baseline):
        own = [curves[trial_id] for _, trial_id in sweep.runs_by_row[label] if trial_id in curves]
        if own and len(summaries) < MOST_ROWS:
            summaries[label] = summary(own, column.scale)
    points = [point for found in summaries.values() for point in found]
    if len({step for step, *_ in points}) < 2:
        return None
    first, last = min(step for step, *_ in points), max(step for step, *_ in points)
    low, high = min(point[2] for point in points), max(point[3] for point in points)
    high = high if high > low else low + 1.0

    def x(step: float) -> float:
        return LEFT + (step - first) / (last - first) * (WIDTH - LEFT - RIGHT)

    def y(value: float) -> float:
        return HEIGHT - BOTTOM - (value - low) / (high - low) * (HEIGHT - TOP - BOTTOM)

    lines = []
    for label, found in summaries.items():
        upper = [(x(step), y(most)) for step, _, _, most in found]
        lower = [(x(step), y(least)) for step, _, least, _ in reversed(found)]
        several = any(least < most for _, _, least, most in found)
        mean = joined((x(step), y(middle)) for step, middle, _, _ in found)
        lines.append(Line(label=label, mean=mean, band=joined([*upper, *lower]) if several else ""))
    steps = sorted({round(first + (last - first) * part / X_TICKS) for part in range(X_TICKS + 1)})
    values = (low + (high - low) * part / Y_TICKS for part in range(Y_TICKS + 1))
    name = NAMES.get(metric, f"{column.header} {column.arrow}".strip())
    return Chart(
        name=title_of(name, sweep.data_sets[0].name if sweep.data_sets else ""),
        lines=tuple(lines),
        x_ticks=tuple((round(x(step), 1), str(step)) for step in steps),
        y_ticks=tuple((round(y(value), 1), f"{value:.3g}") for value in values),
    )


def summary(curves: Sequence[Curve], scale: float) -> list[tuple[int, float, float, float]]:
    """Each step with the mean, the lowest and the highest value of the curves that have it."""
    by_step: dict[int, list[float]] = {}
    for curve in curves:
        for step, value in curve:
            if math.isfinite(value):
                by_step.setdefault(step, []).append(value * scale)
    return [(step, fmean(values), min(values), max(values)) for step, values in sorted(by_step.items())]


def joined(points: Iterable[tuple[float, float]]) -> str:
    """Points as SVG writes them."""
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
