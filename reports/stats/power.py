"""How many seeds detect a difference of a given size: power of the paired t test, from the non-central t."""

from __future__ import annotations

import math
from bisect import bisect_left

import numpy as np

from reports.stats.p_values import ALPHA
from reports.stats.pairs import MIN_SEEDS

__all__ = ["MOST_SEEDS", "POWER", "power_of", "seeds_needed"]

POWER = 0.8
MOST_SEEDS = 10_000
"""No answer is given for a difference that needs more seeds."""


def power_of(effect: float, n: int, alpha: float = ALPHA) -> float:
    """Power of the two-sided paired t test of `n` >= 2 seeds for a true difference of `effect` standard deviations."""
    from scipy import stats  # on demand: tables need no power, and this import takes most of a second

    critical = stats.t.isf(alpha / 2, n - 1)
    centre = abs(effect) * math.sqrt(n)
    tails = [stats.nct.sf(critical, n - 1, centre), stats.nct.cdf(-critical, n - 1, centre)]
    return float(np.nansum(tails))  # scipy gives NaN for a tail too thin to be computed


def seeds_needed(difference: float, spread: float, alpha: float = ALPHA) -> int | None:
    """Smallest number of seeds, at least 3, with which a paired t test finds `difference` with probability 0.8.

    `spread` is the sample standard deviation of the paired differences, in the unit of `difference`. None when the
    difference is zero or needs more than 10,000 seeds. An order of magnitude only: size and spread over a few seeds are
    uncertain, and differences that look large are on average smaller. Raises ValueError for a negative spread.
    """
    if spread < 0:
        raise ValueError(f"a spread cannot be negative: {spread}")
    if difference == 0:
        return None
    if spread == 0:
        return MIN_SEEDS
    effect = abs(difference) / spread
    if power_of(effect, MOST_SEEDS, alpha) < POWER:
        return None
    return bisect_left(range(MOST_SEEDS), POWER, lo=MIN_SEEDS, key=lambda n: power_of(effect, n, alpha))
