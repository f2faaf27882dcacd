"""The legend of several series: within a small figure, under a crowded one."""

from __future__ import annotations

import math
from collections.abc import Sequence

from matplotlib.figure import Figure

from reports.figures.style import COLUMN
from reports.figures.text import fitted

__all__ = ["legend_height", "legend_label", "place_legend"]

LETTERS = 30
LINE = 0.145
"""Inches per line of the legend."""


def legend_label(label: str) -> str:
    """A label of the user, short enough for a legend; never hidden by a leading underscore."""
    text = fitted(label, LETTERS, 1)
    return f"\u200b{text}" if text.startswith("_") else text  # matplotlib leaves out what begins with one


def columns_of(labels: Sequence[str], width: float) -> int:
    """How many cell_texts stand beside one another."""
    longest = max(map(len, labels), default=1)
    return max(1, min(len(labels), int(width * 13 / (longest + 7))))


def legend_height(labels: Sequence[str], width: float) -> float:
    """Inches the legend takes under the axes; a single series needs none."""
    return LINE * math.ceil(len(labels) / columns_of(labels, width)) + 0.05 if len(labels) > 1 else 0.0


def place_legend(figure: Figure, labels: Sequence[str], foot: str, width: float = COLUMN) -> None:
    """Legend of the labelled lines under the axes, if there are several, and the note `foot`, if there is one."""
    if len(labels) > 1:
        handles = figure.axes[0].get_legend_handles_labels()
        figure.legend(
            *handles, loc="outside lower center", ncols=columns_of(labels, width), columnspacing=1.0, title=foot or None
        )
    elif foot:
        figure.supxlabel(foot)
