"""Testing again after every new seed: `seeds: {min: 3, max: 10, until: decided}` without more false alarms.

The correction is named `Looks.correction`: the nominal level of the paired t test grows with the square of the seeds
(between Pocock's constant level and O'Brien-Fleming's, which spends nearly all at the end), scaled so that the chance
of any look below its level is the overall one when there is no difference; the scale is found by simulation. What that
costs and gains, for a true difference of 1 and 1.5 spreads, looks at 3 to 10 seeds, 5 % (20,000 simulated rows each):

    correction                       found      mean seeds        found      mean seeds
    none, ten seeds at once          80 %       10                99 %       10
    Bonferroni over eight looks      50 %        8.6              87 %        7.1
    Pocock                           62 %        8.0              93 %        6.3
    square of the seeds              72 %        8.2              97 %        6.7
    fourth power                     76 %        8.5              98 %        7.2

Why it combines with Holm over the rows: the sequential p of a row is the smallest overall level at which one of its
looks so far would have decided. It is valid at every moment at once (it only falls, and its last value is a p-value),
so Holm over the rows' sequential p is valid too, whenever each row stops and for whatever reason.
Axes: R simulated rows, N seeds, L looks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from reports.stats.intervals import Interval, t_interval
from reports.stats.p_values import holm, paired_t
from reports.stats.pairs import MIN_SEEDS, spreadless

__all__ = ["Decision", "Looks", "Verdict", "calibrate", "decide", "sequential_p"]

Array = NDArray[np.float64]

PATHS = 200_000
"""Simulated rows without a difference."""

TAIL = 100
"""The scale of levels rarer than so many simulated rows is bounded by Bonferroni instead."""


class Verdict(StrEnum):
    """What a row is, judged by the seeds so far."""

    BETTER = "better"
    WORSE = "worse"
    OPEN = "open"
    """Its interval still straddles zero, and there are seeds left: top it up."""
    UNDECIDED = "undecided"
    """All seeds are used up."""
    IDENTICAL = "identical"
    """Equal to the baseline in every seed, `min` of them or more: further seeds would say the same."""


@dataclass(frozen=True, kw_only=True)
class Looks:
    """The planned looks at a row: after `first`, `first` + 1, ..., `last` shared seeds. Made by `calibrate`."""

    first: int
    last: int
    weight_L: Array = field(repr=False)
    """Nominal level of each look relative to that of the last."""
    smallest_R: Array = field(repr=False)
    """Sorted: of each simulated row without a difference the smallest nominal p / weight over its looks."""

    @property
    def correction(self) -> str:
        """The correction, in words for the small print."""
        return (
            f"p corrected for {self.last - self.first + 1} looks, after {self.first} to {self.last} seeds"
            " (nominal level growing with the square of the seeds, calibrated by simulation)"
        )

    def overall(self, scaled: Array) -> Array:
        """Chance of any look with a nominal p / weight of at most `scaled` where there is no difference."""
        bonferroni = np.asarray(scaled) * self.weight_L.sum()
        rank = np.searchsorted(self.smallest_R, scaled, side="right")
        simulated = (np.maximum(rank, TAIL) + 1) / (len(self.smallest_R) + 1)
        return np.asarray(np.minimum(np.minimum(bonferroni, simulated), 1.0))

    def nominal(self, level: float) -> Array:
        """Nominal levels (L,) of the paired t tests that make the chance of a false alarm `level` over all looks."""
        low = level / self.weight_L.sum()
        candidates = np.concatenate([[low], self.smallest_R[self.smallest_R > low]])
        within = int(np.searchsorted(self.overall(candidates), level, side="right"))
        return np.asarray(candidates[max(within - 1, 0)] * self.weight_L)


@dataclass(frozen=True, kw_only=True, slots=True)
class Decision:
    """Where a row stands against the baseline."""

    verdict: Verdict
    n: int
    """Shared seeds so far, at most `last`."""
    difference: float | None
    interval: Interval | None
    """Student's t interval at the level corrected for the looks (not for the other rows): it may be looked at after
    every seed. None before the first look."""
    p: float | None
    """Sequential p: corrected for the looks."""
    p_holm: float | None
    """Corrected for the rows as well; the verdict is by this one."""

    @property
    def decided(self) -> bool:
        """No further seed is wanted."""
        return self.verdict is not Verdict.OPEN


def calibrate(first: int, last: int, generator: np.random.Generator) -> Looks:
    """Simulate rows without a difference to learn what looking at each of `first` to `last` seeds costs.

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
    """Sequential p over the last axis: the smallest overall level at which a look so far would have decided.

    The N differences stand in the order of the seeds; those beyond `looks.last` are not looked at. 1 before the first
    look. A look at differences without spread counts as p = 1.
    """
    smallest = np.full(difference_N.shape[:-1], np.inf)
    for n, weight in zip(range(looks.first, looks.last + 1), looks.weight_L, strict=True):
        if n <= difference_N.shape[-1]:
            smallest = np.fmin(smallest, paired_t(difference_N[..., :n]) / weight)
    return looks.overall(smallest)


def decide(
    differences: Mapping[str, Array], looks: Looks, *, alpha: float = 0.05, maximize: bool = True
) -> dict[str, Decision]:
    """Which rows are decided, by their paired differences to the baseline so far, in the order of the seeds.

    With probability 1 - `alpha` or more no row without a difference is ever called better or worse, however often
    this is asked. `maximize` says which sign is better.
    """
    seen = {label: np.asarray(values, dtype=np.float64)[: looks.last] for label, values in differences.items()}
    testable = [label for label, values in seen.items() if len(values) >= looks.first and values.any()]
    p_by_label = {label: float(sequential_p(seen[label], looks)) for label in testable}
    # a row that cannot be tested yet is a member of the family: it will be
    family = sum(len(values) < looks.first or bool(values.any()) for values in seen.values())
    adjusted = holm(np.array(list(p_by_label.values())), family) if testable else np.empty(0)
    holm_by_label = dict(zip(testable, map(float, adjusted), strict=True))
    nominal_L = looks.nominal(alpha)
    return {
        label: verdict_of(values, looks, nominal_L, p_by_label.get(label), holm_by_label.get(label), alpha, maximize)
        for label, values in seen.items()
    }


def verdict_of(
    difference_N: Array,
    looks: Looks,
    nominal_L: Array,
    p: float | None,
    p_holm: float | None,
    alpha: float,
    maximize: bool,
) -> Decision:
    """The decision on one row; see `decide`."""
    n = len(difference_N)
    difference = float(difference_N.mean()) if n else None
    interval = None
    if n >= looks.first and not spreadless(difference_N):
        level = 1 - float(nominal_L[n - looks.first])
        low, high = t_interval(difference_N, level)
        interval = Interval(low=float(low), high=float(high), level=level, method="t")
    if n >= looks.first and not difference_N.any():
        verdict = Verdict.IDENTICAL
    elif p_holm is not None and difference is not None and p_holm <= alpha:
        verdict = Verdict.BETTER if (difference > 0) is maximize else Verdict.WORSE
    else:
        verdict = Verdict.OPEN if n < looks.last else Verdict.UNDECIDED
    return Decision(verdict=verdict, n=n, difference=difference, interval=interval, p=p, p_holm=p_holm)
