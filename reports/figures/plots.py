"""What each kind of figure shows, as plain data: made where the results are, drawn in another process."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import fmean

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "BAND",
    "BarRow",
    "Bars",
    "ClassBars",
    "Curve",
    "Curves",
    "Estimate",
    "HeatMap",
    "Importance",
    "LinePlot",
    "Parallel",
    "ParallelAxis",
    "Pareto",
    "ParetoPoint",
    "Plot",
    "is_wide",
]

BAND = "Band: ± sample standard deviation"


@dataclass(frozen=True, kw_only=True, slots=True)
class Estimate:
    """Finite values of one row over its seeds, in the unit of the axis."""

    values: tuple[float, ...]
    interval: tuple[float, float] | None = None
    """None with too few seeds: no interval is drawn."""

    @property
    def mean(self) -> float:
        """Mean of the values; NaN without any."""
        return fmean(self.values) if self.values else math.nan


@dataclass(frozen=True, kw_only=True, slots=True)
class BarRow:
    """One row, from top to bottom as in the table."""

    label: str
    estimate: Estimate
    baseline: bool = False
    note: str = ""
    """Why seeds are missing, for example `2 failed`; shown if there is no value at all."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Bars:
    """All rows and what the axis means."""

    name: str
    """Metric and unit: `mIoU (%) ↑`, or `Δ mIoU (%) to "w/o contrast"`."""
    rows: tuple[BarRow, ...]
    note: str = ""
    """What the interval is, for the line under the axis."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ClassBars(Bars):
    """Differences of the classes, to be sorted from the largest gain to the largest loss."""

    significant: tuple[str, ...] = ()
    """Labels of the classes whose difference is significant, by the test of the table of classes."""


@dataclass(frozen=True, kw_only=True)
class HeatMap:
    """Means of a two-factor grid.   Axes: Y levels from top to bottom, X levels from left to right."""

    name: str
    """Metric and unit."""
    x_name: str
    y_name: str
    x_levels: tuple[str, ...]
    y_levels: tuple[str, ...]
    mean_YX: NDArray[np.float64]
    """NaN where there is no value; drawn hatched."""
    std_YX: NDArray[np.float64] | None = None
    """Sample standard deviations, written below the means; NaN for a single seed."""
    decimals: int = 2
    note: str = ""
    """The interaction, for the line below the axis."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LinePlot:
    """One line and what the axes mean."""

    x_name: str
    y_name: str
    label: str
    at: tuple[float, ...]
    """Values of the factor, ascending."""
    estimates: tuple[Estimate, ...]
    """One per value of the factor; one without values is a gap."""
    reference: tuple[str, Estimate] | None = None
    """Label and estimate of a row without the factor, such as the baseline."""
    note: str = ""
    """What the band is."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ParetoPoint:
    """One row or trial; not drawn unless both values are finite."""

    label: str
    x: float
    y: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Pareto:
    """All points and what the axes mean."""

    x_name: str
    y_name: str
    points: tuple[ParetoPoint, ...]
    x_up: bool = False
    """Whether more is better on the x axis; false for a cost."""
    y_up: bool = True


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


@dataclass(frozen=True, kw_only=True, slots=True)
class Importance:
    """How much each parameter of a search matters."""

    shares: Mapping[str, float]
    """By parameter, usually summing to 1; NaN where unknown."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ParallelAxis:
    """One axis.   Axes: T trials."""

    name: str
    place_T: tuple[float, ...]
    """Of the value of each trial, 0 at the bottom and 1 at the top."""
    ticks: tuple[tuple[float, str], ...]
    """Places and their values."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Parallel:
    """The parameters of the trials of a search, from the worst trial to the best."""

    axes: tuple[ParallelAxis, ...]
    """The last one is the metric."""
    up: bool = True
    """Whether more of the metric is better."""
    note: str = ""


Plot = Bars | HeatMap | LinePlot | Parallel | Pareto | Curves | Importance
"""The data of one figure."""


WIDE_MAP = 6
"""A heat map of more levels is as wide as both columns of the page."""


def is_wide(plot: Plot) -> bool:
    """Whether a figure is as wide as both columns of a two-column page."""
    return isinstance(plot, Pareto | Parallel) or (isinstance(plot, HeatMap) and len(plot.x_levels) > WIDE_MAP)
