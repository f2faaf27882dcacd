"""A metric over one numeric factor: mean with a band, seeds as dots, the baseline as a horizontal line."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from statistics import fmean
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from reports.figures.legend import legend_height, legend_label, place_legend
from reports.figures.plots import Estimate, LinePlot
from reports.figures.style import COLUMN, LIGHT, Style, canvas, line_style
from reports.figures.text import height_of, literal, number, under

__all__ = ["draw_line"]


def draw_line(data: LinePlot, *, style: Style = LIGHT, width: float = COLUMN) -> Figure:
    """A line over the factor, on a log axis if its values are geometric."""
    labels = [legend_label(data.label)]
    if data.reference:
        labels.append(legend_label(data.reference[0]))
    foot = under(width, data.note)
    height = 0.66 * min(width, 1.4 * COLUMN) + legend_height(labels, width) + height_of(foot)
    with canvas(width, height, style) as (figure, axes):
        log = is_geometric(data.at)
        if log:
            axes.set_xscale("log")
        if data.reference:
            draw_reference(axes, labels[-1], data.reference[1], style)
        draw_estimates(axes, labels[0], data, line_style(style, 0))
        axes.xaxis.set_minor_locator(NullLocator())
        shown = spaced(data.at, log=log, width=width)
        axes.set_xticks(shown, [number(value) for value in shown])
        axes.set_xlabel(literal(data.x_name))
        axes.set_ylabel(literal(data.y_name))
        axes.grid(axis="y")
        place_legend(figure, labels, foot, width)
    return figure


def draw_estimates(axes: Axes, label: str, data: LinePlot, look: dict[str, Any]) -> None:
    """Line through the means, band between the ends of the intervals, dots for the seeds."""
    means, color = [item.mean for item in data.estimates], look["color"]
    axes.plot(data.at, means, label=label, marker="o", markersize=3.2, zorder=4, **look)
    ends = np.array([item.interval or (math.nan, math.nan) for item in data.estimates]).reshape(-1, 2)
    axes.fill_between(data.at, ends[:, 0], ends[:, 1], color=color, alpha=0.18, linewidth=0)
    for position, (value, item) in enumerate(zip(data.at, data.estimates, strict=True)):
        if len(item.values) > 1:
            axes.scatter([value] * len(item.values), item.values, s=4, color=color, alpha=0.6, linewidths=0)
        alone = all(
            not 0 <= beside < len(ends) or math.isnan(ends[beside, 0]) for beside in (position - 1, position + 1)
        )
        if item.interval and alone:  # a band of a single point is invisible
            axes.plot((value, value), item.interval, color=color, linewidth=1.0)


def draw_reference(axes: Axes, label: str, estimate: Estimate, style: Style) -> None:
    """A horizontal line with its band; nothing without a value."""
    if not math.isnan(estimate.mean):
        axes.axhline(estimate.mean, label=label, color=style.text, linewidth=0.9, linestyle=(0, (4, 2)))
    if estimate.interval:
        axes.axhspan(*estimate.interval, color=style.muted, alpha=0.15, linewidth=0)


def spaced(values: Sequence[float], *, log: bool, width: float) -> list[float]:
    """The values whose labels fit on an axis of `width` inches without overlap."""
    if not values:
        return []
    place = {value: math.log(value) if log else value for value in values}
    span = (place[values[-1]] - place[values[0]]) or 1.0
    inches = width - 0.9
    shown: list[float] = []
    right = -math.inf
    for value in values:
        middle = (place[value] - place[values[0]]) / span * inches
        half = 0.036 * len(number(value)) + 0.03
        if middle - half >= right:
            shown.append(value)
            right = middle + half
    return shown


def is_geometric(values: Sequence[float]) -> bool:
    """Whether the values of a factor suit a log axis (0.05, 0.1, 0.2; 500, 5000, 50000).

    They are all positive, span a factor of four or more, and their ratios vary less than their distances.
    """
    ordered = sorted(set(values))
    if len(ordered) < 3 or ordered[0] <= 0 or ordered[-1] / ordered[0] < 4:
        return False
    pairs = list(pairwise(ordered))
    return variation([math.log(right / left) for left, right in pairs]) < variation([b - a for a, b in pairs])


def variation(steps: Sequence[float]) -> float:
    """Population standard deviation over mean of positive steps; 0 if all are equal."""
    mean = fmean(steps)
    return math.sqrt(fmean((step - mean) ** 2 for step in steps)) / mean
