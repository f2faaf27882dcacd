"""What a figure shows of one row: the seeds, their mean, and an interval around it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean

__all__ = ["Estimate", "is_geometric"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Estimate:
    """Values of one row over its seeds, in the unit of the axis. Values that are not finite are left out."""

    values: tuple[float, ...]
    low: float | None = None
    """Lower end of the interval; None with too few seeds, then no interval is drawn."""
    high: float | None = None

    @property
    def seen(self) -> tuple[float, ...]:
        """The finite values."""
        return tuple(value for value in self.values if math.isfinite(value))

    @property
    def mean(self) -> float:
        """Mean of the finite values; NaN without any."""
        return fmean(self.seen) if self.seen else math.nan

    @property
    def ends(self) -> tuple[float, float] | None:
        """The finite interval, or None."""
        if self.low is None or self.high is None or not (math.isfinite(self.low) and math.isfinite(self.high)):
            return None
        return self.low, self.high


def is_geometric(values: Sequence[float]) -> bool:
    """Whether values of a factor are meant by their ratios (0.05, 0.1, 0.2; 500, 5000, 50000): a log axis suits them.

    They are all positive, span a factor of four or more, and their ratios vary less than their distances.
    """
    ordered = sorted(set(values))
    if len(ordered) < 3 or ordered[0] <= 0 or ordered[-1] / ordered[0] < 4:
        return False
    pairs = list(pairwise(ordered))
    return unevenness([math.log(right / left) for left, right in pairs]) < unevenness([b - a for a, b in pairs])


def unevenness(steps: Sequence[float]) -> float:
    """Population standard deviation over mean of positive steps; 0 where all are alike."""
    mean = fmean(steps)
    return math.sqrt(fmean((step - mean) ** 2 for step in steps)) / mean
