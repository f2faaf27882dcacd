"""Learning curves: mean over the seeds with a band, one line per row."""

from __future__ import annotations

import warnings

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from reports.figures.legend import legend_height, legend_label, place_legend
from reports.figures.plots import Curve, Curves
from reports.figures.style import COLUMN, LIGHT, Style, canvas, line_style
from reports.figures.text import height_of, literal, under

__all__ = ["draw_curves"]


def draw_curves(data: Curves, *, style: Style = LIGHT, width: float = COLUMN) -> Figure:
    """Mean lines with bands of one sample standard deviation, over the seeds with a point at each step."""
    shown = [curve for curve in data.curves if np.isfinite(curve.value_ST).any()]
    labels = [legend_label(curve.label) for curve in shown]
    has_band = any(curve.value_ST.shape[0] > 1 for curve in shown)
    foot = under(width, data.data, data.note if has_band else "")
    height = 0.66 * min(width, 1.4 * COLUMN) + legend_height(labels, width) + height_of(foot)
    with canvas(width, height, style) as (figure, axes):
        for index, curve in enumerate(shown):
            look = line_style(style, index)
            step_T, mean_T, std_T = summary(curve)
            axes.plot(step_T, mean_T, label=labels[index], marker="o" if len(step_T) == 1 else "", markersize=3, **look)
            axes.fill_between(step_T, mean_T - std_T, mean_T + std_T, color=look["color"], alpha=0.15, linewidth=0)
        axes.set_xlabel("Step")
        axes.xaxis.set_major_locator(MaxNLocator(nbins="auto", steps=[1, 2, 2.5, 5, 10], integer=True))
        axes.set_ylabel(literal(data.name))
        axes.grid(axis="y")
        if not shown:
            axes.text(0.5, 0.5, "no points", transform=axes.transAxes, ha="center", color=style.muted, style="italic")
            axes.set(xticks=[], yticks=[])
        place_legend(figure, labels, foot, width)
    return figure


def summary(curve: Curve) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Steps with a point, and their mean and sample standard deviation (NaN below two seeds)."""
    kept_T = np.isfinite(curve.value_ST).any(axis=0)
    kept_ST = curve.value_ST[:, kept_T]
    kept_ST = np.where(np.isfinite(kept_ST), kept_ST, np.nan)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of steps with one seed
        return curve.step_T[kept_T], np.nanmean(kept_ST, axis=0), np.nanstd(kept_ST, axis=0, ddof=1)
