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
    """Finite values of one row over its seeds, in the unit of the axis."""

    values: tuple[float, ...]
    interval: tuple[float, float] | None = None
    """None with too few seeds: no interval is drawn."""

    @property
    def mean(self) -> float:
        """Mean of the values; NaN without any."""
        return fmean(self.values) if self.values else math.nan


def is_geometric(values: Sequence[float]) -> bool:
    """Whether the values of a factor suit a log axis (0.05, 0.1, 0.2; 500, 5000, 50000).

    They are all positive, span a factor of four or more, and their ratios vary less than their distances.
    """
    ordered = sorted(set(values))
    if len(ordered) < 3 or ordered[0] <= 0 or ordered[-1] / ordered[0] < 4:
        return False
    pairs = list(pairwise(ordered))
    return variation([math.log(right / left) for left, right in pairs]) < variation([b - a for a, b in pairs])


def variation(steps: Sequence[float]) -> float:
    """Population standard deviation over mean of positive steps; 0 if all are equal."""
    mean = fmean(steps)
    return math.sqrt(fmean((step - mean) ** 2 for step in steps)) / mean
