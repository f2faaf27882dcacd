"""Learning curves: mean over the seeds with a band, one line per row."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from reports.figures.legend import legend_height, legend_label, place_legend
from reports.figures.style import COLUMN, LIGHT, Style, canvas, line_style
from reports.figures.text import height_of, literal, under

__all__ = ["BAND", "Curve", "Curves", "draw_curves"]

BAND = "Band: ± sample standard deviation"


@dataclass(frozen=True, kw_only=True)
class Curve:
    """One row.   Axes: S seeds, T steps."""

    label: str
    step_T: NDArray[np.float64]
    """Ascending."""
    value_ST: NDArray[np.float64]
    """NaN where a seed has no point; steps without any point are not drawn."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Curves:
    """All rows and what the axis means."""

    name: str
    curves: tuple[Curve, ...]
    note: str = BAND


def draw_curves(data: Curves, *, style: Style = LIGHT, width: float = COLUMN) -> Figure:
    """Mean lines with bands of one sample standard deviation, over the seeds with a point at each step."""
    shown = [curve for curve in data.curves if np.isfinite(curve.value_ST).any()]
    labels = [legend_label(curve.label) for curve in shown]
    foot = under(width, data.note) if any(curve.value_ST.shape[0] > 1 for curve in shown) else ""
    height = 0.66 * min(width, 1.4 * COLUMN) + legend_height(labels, width) + height_of(foot)
    with canvas(width, height, style) as (figure, axes):
        for index, curve in enumerate(shown):
            look = line_style(style, index)
            step_T, mean_T, std_T = summary(curve)
            axes.plot(step_T, mean_T, label=labels[index], marker="o" if len(step_T) == 1 else "", markersize=3, **look)
            axes.fill_between(step_T, mean_T - std_T, mean_T + std_T, color=look["color"], alpha=0.15, linewidth=0)
        axes.set_xlabel("Step")
        axes.set_ylabel(literal(data.name))
        axes.grid(axis="y")
        if not shown:
            axes.text(0.5, 0.5, "no points", transform=axes.transAxes, ha="center", color=style.muted, style="italic")
            axes.set(xticks=[], yticks=[])
        place_legend(figure, labels, foot, width)
    return figure


def summary(curve: Curve) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Steps with a point, and their mean and sample standard deviation (NaN below two seeds)."""
    finite_ST = np.isfinite(curve.value_ST)
    count_T = finite_ST.sum(axis=0)
    kept = count_T > 0
    value_ST = np.where(finite_ST, curve.value_ST, 0.0)[:, kept]
    count_T, finite_ST = count_T[kept], finite_ST[:, kept]
    mean_T = value_ST.sum(axis=0) / count_T
    square_T = (np.where(finite_ST, value_ST - mean_T, 0.0) ** 2).sum(axis=0)
    std_T = np.sqrt(np.divide(square_T, count_T - 1, out=np.full_like(square_T, np.nan), where=count_T > 1))
    return curve.step_T[kept], mean_T, std_T
