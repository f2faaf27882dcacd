"""The legend of several series, below the axes."""

from __future__ import annotations

import math
from collections.abc import Sequence

from matplotlib import rcParams
from matplotlib.figure import Figure

from reports.figures.style import COLUMN
from reports.figures.text import fitted

__all__ = ["legend_height", "legend_label", "place_legend", "place_names"]

LETTERS = 36
BESIDE = 1.4
"""Inches beside the axes of a figure with labels of rows, at most."""
LINE = 0.145
"""Inches per line of the legend."""


def legend_label(label: str) -> str:
    """A label of the user, shortened for a legend."""
    text = fitted(label, LETTERS, 1)
    return f"\u200b{text}" if text.startswith("_") else text  # matplotlib hides labels that start with one


def legend_columns(labels: Sequence[str], width: float) -> int:
    """Number of columns of the legend."""
    longest = max(map(len, labels), default=1)
    return max(1, min(len(labels), int(width * 13 / (longest + 7))))


def legend_height(labels: Sequence[str], width: float) -> float:
    """Height in inches; a single series has no legend."""
    return LINE * math.ceil(len(labels) / legend_columns(labels, width)) + 0.05 if len(labels) > 1 else 0.0


def place_legend(figure: Figure, labels: Sequence[str], foot: str, width: float = COLUMN) -> None:
    """Legend of the labelled lines below the axes, if there are several, and the note `foot`, if any."""
    if len(labels) > 1:
        handles = figure.axes[0].get_legend_handles_labels()
        figure.legend(
            *handles,
            loc="outside lower center",
            ncols=legend_columns(labels, width),
            columnspacing=1.0,
            title=foot or None,
        )
    elif foot:
        figure.supxlabel(foot)


def place_names(figure: Figure, foot: str, width: float = COLUMN) -> None:
    """The name of the x axis, and a note if there is one: below the axes if it is short, else below the figure."""
    axes = figure.axes[0]
    if "\n" not in foot and len(foot) <= int((width - BESIDE) * 17):
        axes.set_xlabel(foot, fontsize=rcParams["figure.labelsize"])
    else:
        figure.supxlabel(foot)
