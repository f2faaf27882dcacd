"""Learning curves from the points that the trials recorded: mean over the seeds with a band, one line per row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from orchestrator.store.records import SweepRecord
from orchestrator.store.run_directory import RunDirectory
from reports.figures.legend import legend_height, legend_label, place_legend
from reports.figures.style import COLUMN, LIGHT, Style, canvas, line_style
from reports.figures.text import height_of, literal, under

__all__ = ["BAND", "Curve", "Curves", "draw_curves", "read_curves"]

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
    data: str = ""
    """Which data set they are of, for the line below the axis."""


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
    kept_ST = pd.DataFrame(curve.value_ST[:, kept_T]).replace([np.inf, -np.inf], np.nan)
    return curve.step_T[kept_T], kept_ST.mean().to_numpy(), kept_ST.std().to_numpy()


def read_curves(
    directory: RunDirectory, sweep: SweepRecord, labels: Sequence[str], metric: str, scale: float = 1.0
) -> tuple[Curve, ...]:
    """One curve per label whose trials reported `metric`, times `scale`.

    If a later attempt reported a step again, its value counts. Failed trials are drawn up to their last point.
    """
    curves = []
    for label in labels:
        trials = [cell.trial_id for cell in sweep.cells if cell.row == label]
        value_by_step = [
            {
                point.step: float(point.metrics[metric])
                for point in directory.points(trial_id)
                if point.metrics.get(metric) is not None
            }
            for trial_id in trials
        ]
        steps = sorted({step for values in value_by_step for step in values})
        if steps:
            value_ST = np.array([[values.get(step, np.nan) for step in steps] for values in value_by_step])
            curves.append(Curve(label=label, step_T=np.array(steps, dtype=np.float64), value_ST=value_ST * scale))
    return tuple(curves)
