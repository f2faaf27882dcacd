"""Importance of the parameters of a search."""

from __future__ import annotations

import math

from matplotlib.figure import Figure

from reports.figures.legend import place_names
from reports.figures.plots import Importance
from reports.figures.style import COLUMN, LIGHT, Style, canvas
from reports.figures.text import fitted, height_of, under

__all__ = ["draw_importance"]


def draw_importance(data: Importance, *, style: Style = LIGHT, width: float = COLUMN) -> Figure:
    """Bars from the most to the least important parameter."""
    ordered = sorted(data.shares.items(), key=lambda item: (not math.isfinite(item[1]), -item[1], item[0]))
    foot = under(width, "Share of the variation explained")
    with canvas(width, 0.4 + height_of(foot) + 0.2 * max(len(ordered), 2), style) as (figure, axes):
        for place, (_, value) in enumerate(ordered):
            known = math.isfinite(value)
            axes.barh(place, value if known else 0.0, height=0.65, color=style.first, alpha=0.75, linewidth=0)
            text = f"{value:.2f}" if known else "unknown"
            axes.annotate(
                text,
                (value if known else 0.0, place),
                xytext=(3, 0),
                textcoords="offset points",
                va="center",
                fontsize=7,
                color=style.text,
            )
        axes.set_yticks(range(len(ordered)), [fitted(parameter, 28, 1) for parameter, _ in ordered])
        axes.tick_params(axis="y", length=0)
        axes.set_ylim(max(len(ordered), 1) - 0.4, -0.6)
        axes.set_xlim(0, 1.18 * max((value for _, value in ordered if math.isfinite(value)), default=1.0) or 1.0)
        place_names(figure, foot, width)
        if not ordered:
            axes.text(0.5, 0.5, "too few trials", transform=axes.transAxes, ha="center", color=style.muted)
    return figure
