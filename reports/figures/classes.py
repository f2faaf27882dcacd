"""Per-class differences: which classes gain and which lose."""

from __future__ import annotations

import math

from matplotlib.figure import Figure

from reports.figures.legend import place_names
from reports.figures.plots import ClassBars
from reports.figures.style import COLUMN, LIGHT, Style, canvas
from reports.figures.text import fitted, height_of, under

__all__ = ["draw_classes"]

MOST_PER_SIDE = 20
"""Classes shown at each end; those between are counted."""


def draw_classes(data: ClassBars, *, style: Style = LIGHT, width: float = COLUMN) -> Figure:
    """Bars sorted from the largest gain to the largest loss; only those that are significant have a colour."""
    ordered = sorted(
        (item for item in data.rows if not math.isnan(item.estimate.mean)),
        key=lambda item: (-item.estimate.mean, item.label),
    )
    left_out = max(0, len(ordered) - 2 * MOST_PER_SIDE)
    shown = ordered if not left_out else [*ordered[:MOST_PER_SIDE], *ordered[-MOST_PER_SIDE:]]
    places = [index + (1 if left_out and index >= MOST_PER_SIDE else 0) for index in range(len(shown))]
    foot = under(width, data.name, data.note)
    rows = len(shown) + bool(left_out)
    with canvas(width, 0.35 + 0.155 * max(rows, 2) + height_of(foot), style) as (figure, axes):
        for place, item in zip(places, shown, strict=True):
            mean, ends = item.estimate.mean, item.estimate.interval
            tone = style.gain if mean >= 0 else style.loss
            colour = tone if item.label in data.significant else style.muted
            axes.barh(place, mean, height=0.7, color=colour, alpha=0.75, linewidth=0)
            if ends:
                axes.plot(ends, (place, place), color=style.text, linewidth=0.9, solid_capstyle="butt")
        names = [fitted(item.label, 24, 1) for item in shown]
        ticks = list(places)
        if left_out:
            ticks.insert(MOST_PER_SIDE, MOST_PER_SIDE)
            names.insert(MOST_PER_SIDE, f"… {left_out} classes between …")
        axes.set_yticks(ticks, names)
        axes.tick_params(axis="y", length=0)
        axes.set_ylim(rows - 0.4, -0.6)
        axes.axvline(0, color=style.text, linewidth=0.6)
        place_names(figure, foot, width)
        axes.grid(axis="x")
        if not shown:
            axes.text(0.5, 0.5, "no class in common", transform=axes.transAxes, ha="center", color=style.muted)
            axes.set_xticks([])
    return figure
