"""Parallel coordinates: one axis per parameter and one for the metric, one line per trial."""

from __future__ import annotations

import numpy as np
from matplotlib.collections import LineCollection
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from reports.figures.plots import Parallel
from reports.figures.style import LIGHT, PAGE, Style, canvas
from reports.figures.text import fitted, height_of, under

__all__ = ["draw_parallel"]

HEIGHT = 2.4
"""Inches, without the note."""


def draw_parallel(data: Parallel, *, style: Style = LIGHT, width: float = PAGE) -> Figure:
    """Lines from light for the worst to dark for the best value of the metric, which is drawn last and dashed."""
    place_AT = np.array([axis.place_T for axis in data.axes])
    better_T = place_AT[-1] if data.up else 1 - place_AT[-1]
    foot = under(width, data.note)
    colours = LinearSegmentedColormap.from_list("trials", [style.grid, style.first])
    with canvas(width, HEIGHT + height_of(foot), style) as (figure, axes):
        lines = [np.column_stack([np.arange(len(place_AT)), place_A]) for place_A in place_AT.T]
        axes.add_collection(LineCollection(lines, colors=colours(better_T), linewidths=0.8, alpha=0.85))
        best = lines[int(better_T.argmax())]
        axes.plot(best[:, 0], best[:, 1], color=style.text, linewidth=1.2, linestyle=(0, (4, 1.5)), zorder=4)
        for place, axis in enumerate(data.axes):
            axes.axvline(place, color=style.text, linewidth=0.6, zorder=3)
            for height, text in axis.ticks:
                axes.annotate(
                    fitted(text, 14, 1),
                    (place, height),
                    xytext=(3, 0),
                    textcoords="offset points",
                    va="center",
                    fontsize=6.5,
                    color=style.text,
                    zorder=5,
                    bbox={"facecolor": style.background, "edgecolor": "none", "alpha": 0.7, "pad": 0.5},
                )
        letters = max(8, int(width / len(data.axes) * 13))
        axes.set_xticks(range(len(data.axes)), [fitted(axis.name, letters) for axis in data.axes])
        axes.tick_params(length=0)
        axes.set_yticks([])
        axes.spines[:].set_visible(False)
        axes.set_xlim(-0.05, len(data.axes) - 1 + 0.35)
        axes.set_ylim(-0.06, 1.06)
        figure.supxlabel(foot)
    return figure
