"""Testing again after every new seed (`seeds: {min: 3, max: 10, until: decided}`) without more false alarms.

The nominal level of the paired t test grows with the square of the seeds, between Pocock's constant level and
O'Brien-Fleming's, which spends nearly all of it at the last look. It is scaled by simulation so that, without a true
difference, the chance that any look is significant is the overall level. Power and mean number of seeds at 5 %, for
true differences of 1 and 1.5 standard deviations and looks at 3 to 10 seeds (20,000 simulated rows each):

    correction                       power      mean seeds        power      mean seeds
    none, ten seeds at once          80 %       10                99 %       10
    Bonferroni over eight looks      50 %        8.6              87 %        7.1
    Pocock                           62 %        8.0              93 %        6.3
    square of the seeds              72 %        8.2              97 %        6.7
    fourth power                     76 %        8.5              98 %        7.2

The sequential p of a row is the smallest overall level at which one of its looks so far would have been significant. It
is valid at every look at once, so Holm's correction over the rows' sequential p is valid too, whenever and for whatever
reason each row stops.
Axes: R simulated rows, N seeds, L looks.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from reports.stats.p_values import ALPHA, holm, paired_t
from reports.stats.pairs import MIN_SEEDS

__all__ = ["Looks", "calibrate", "sequential_p", "undecided"]

Array = NDArray[np.float64]

PATHS = 200_000
"""Simulated rows without a true difference."""

TAIL = 100
"""Levels reached by fewer simulated rows than this are bounded by Bonferroni instead."""


@dataclass(frozen=True, kw_only=True)
class Looks:
    """The planned looks at a row: after `first`, `first` + 1, ..., `last` shared seeds. Made by `calibrate`."""

    first: int
    last: int
    weight_L: Array = field(repr=False)
    """Nominal level of each look relative to that of the last."""
    smallest_R: Array = field(repr=False)
    """Smallest nominal p / weight over the looks of each simulated row, ascending."""

    @property
    def correction(self) -> str:
        """The correction in words, for the notes under a table."""
        return (
            f"p corrected for {self.last - self.first + 1} looks, after {self.first} to {self.last} seeds"
            " (nominal level growing with the square of the seeds, calibrated by simulation)"
        )

    def overall(self, scaled: Array) -> Array:
        """Chance that some look has a nominal p / weight of at most `scaled` when there is no true difference."""
        bonferroni = np.asarray(scaled) * self.weight_L.sum()
        rank = np.searchsorted(self.smallest_R, scaled, side="right")
        simulated = (np.maximum(rank, TAIL) + 1) / (len(self.smallest_R) + 1)
        return np.asarray(np.minimum(np.minimum(bonferroni, simulated), 1.0))

    def last_level(self, level: float) -> float:
        """Nominal level of the last look at the overall level `level`: the inverse of `overall`.

        A fixed test of `last` seeds at this nominal level is at most as powerful as all looks together.
        """
        rank = math.floor(level * (len(self.smallest_R) + 1)) - 1
        simulated = float(self.smallest_R[rank - 1]) if rank >= TAIL else 0.0
        return max(level / float(self.weight_L.sum()), simulated)


def calibrate(first: int, last: int, generator: np.random.Generator) -> Looks:
    """Simulate rows without a true difference to find the scale of the nominal levels for `first` to `last` seeds.

    Takes about a second for 3 to 10. Raises ValueError unless 3 <= first <= last: fewer seeds are never tested.
    """
    if not MIN_SEEDS <= first <= last:
        raise ValueError(f"looks must run from {MIN_SEEDS} seeds or more upwards, not from {first} to {last}")
    counts = np.arange(first, last + 1)
    weight_L = (counts / last) ** 2.0
    smallest_R = np.full(PATHS, np.inf)
    difference_RN = generator.standard_normal((PATHS, last))
    for n, weight in zip(counts, weight_L, strict=True):
        smallest_R = np.minimum(smallest_R, paired_t(difference_RN[:, :n]) / weight)
    return Looks(first=first, last=last, weight_L=weight_L, smallest_R=np.sort(smallest_R))


def sequential_p(difference_N: Array, looks: Looks) -> Array:
    """Sequential p over the last axis: the smallest overall level at which a look so far would be significant.

    The N differences are in the order of the seeds; those after `looks.last` are ignored. 1 before the first look.
    Differences without spread count as p = 1.
    """
    smallest = np.full(difference_N.shape[:-1], np.inf)
    for n, weight in zip(range(looks.first, looks.last + 1), looks.weight_L, strict=True):
        if n <= difference_N.shape[-1]:
            smallest = np.fmin(smallest, paired_t(difference_N[..., :n]) / weight)
    return looks.overall(smallest)


def undecided(differences: Mapping[str, Array], looks: Looks) -> set[str]:
    """Labels of the rows that further seeds may decide, by their paired differences to the baseline so far.

    The differences are in the order of the seeds. Not undecided are rows that differ at level `ALPHA`, rows equal to
    the baseline in `looks.first` seeds or more, and rows that have used all seeds. However often this is asked, the
    chance that any row without a true difference is called different is at most `ALPHA`.
    """
    seen = {label: np.asarray(values, dtype=np.float64)[: looks.last] for label, values in differences.items()}
    identical = {label for label, values in seen.items() if len(values) >= looks.first and not values.any()}
    candidates = [label for label in seen if label not in identical]
    # rows with too few seeds count in the family (p = 1): they will be tested
    p_M = holm(np.array([float(sequential_p(seen[label], looks)) for label in candidates]))
    return {label for label, p in zip(candidates, p_M, strict=True) if p > ALPHA and len(seen[label]) < looks.last}
