"""Rows of an ablation as bars with intervals, and every seed as a dot."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from reports.figures.legend import place_names
from reports.figures.plots import BarRow, Bars
from reports.figures.style import COLUMN, LIGHT, Style, canvas
from reports.figures.text import fitted, height_of, literal, under

__all__ = ["draw_bars"]


def draw_bars(data: Bars, *, style: Style = LIGHT, width: float = COLUMN) -> Figure:
    """Horizontal bars from zero, or marks at the means if zero is so far away that all bars would look alike."""
    labels = [fitted(row.label, 24 if width <= COLUMN else 44) for row in data.rows]
    lines = sum(label.count("\n") + 1 for label in labels)
    foot = under(width, data.name, data.note)
    height = 0.35 + 0.08 * len(labels) + 0.125 * lines + height_of(foot)
    with canvas(width, height, style) as (figure, axes):
        estimates = [row.estimate for row in data.rows]
        numbers = [number for item in estimates for number in (*item.values, *(item.interval or ()))]
        from_zero = not numbers or min(numbers) <= 0.5 * max(map(abs, numbers))
        for place, row in enumerate(data.rows):
            draw_row(axes, place, row, style, bar=from_zero)
        axes.set_yticks(range(len(labels)), labels)
        axes.tick_params(axis="y", length=0)
        axes.set_ylim(len(labels) - 0.45, -0.55)
        place_names(figure, foot, width)
        axes.grid(axis="x")
        axes.margins(x=0.04)
        if not numbers:
            axes.set_xticks([])
        elif from_zero and min(numbers) < 0:
            axes.axvline(0, color=style.text, linewidth=0.6)
        elif from_zero:
            axes.set_xlim(left=0)
        missing(axes, data.rows, style)
    return figure


def draw_row(axes: Axes, place: int, row: BarRow, style: Style, *, bar: bool) -> None:
    """Bar or mark, interval, seeds."""
    estimate, color = row.estimate, style.muted if row.baseline else style.first
    if math.isnan(estimate.mean):
        return
    if bar:
        axes.barh(place, estimate.mean, height=0.62, color=color, alpha=0.45, linewidth=0)
    if estimate.interval:
        axes.plot(estimate.interval, (place, place), color=style.text, linewidth=1.1, solid_capstyle="butt", zorder=3)
        for end in estimate.interval:
            axes.plot((end, end), (place - 0.14, place + 0.14), color=style.text, linewidth=1.1, zorder=3)
    seeds = estimate.values
    offset = np.where(np.arange(len(seeds)) % 2, 0.2, -0.2) if len(seeds) > 1 else np.zeros(1)  # beside the interval
    axes.scatter(seeds, place + offset, s=7, color=color, edgecolors=style.background, linewidths=0.3, zorder=4)
    if len(seeds) > 1:
        axes.plot(estimate.mean, place, marker="D", markersize=3.4, color=style.text, zorder=5)


def missing(axes: Axes, rows: Sequence[BarRow], style: Style) -> None:
    """Write why a row has no value."""
    transform = axes.get_yaxis_transform()
    for place, row in enumerate(rows):
        if not row.estimate.values:
            text = literal(row.note or "no value")
            axes.text(
                0.02, place, text, transform=transform, va="center", color=style.muted, fontsize=7, style="italic"
            )
