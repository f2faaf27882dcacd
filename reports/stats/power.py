"""Which difference given seeds detect, and how many seeds a given difference needs: power of the paired t test.

The test statistic of n differences with true mean d and standard deviation s follows the non-central t distribution
with n - 1 degrees of freedom and non-centrality d / s * sqrt(n).
"""

from __future__ import annotations

import math
from bisect import bisect_left
from functools import cache

import numpy as np
from scipy import special

from reports.stats.p_values import ALPHA
from reports.stats.pairs import MIN_SEEDS

__all__ = ["MOST_SEEDS", "POWER", "detectable_difference", "power_of", "seeds_needed"]

POWER = 0.8
QUANTILES_Q = (np.arange(4000) + 0.5) / 4000
"""Probabilities Q at which the distribution of the estimated spread is evaluated. SciPy's inverse of the non-central t
(`special.nctdtrinc`) does not return for some levels below 1e-5, which tables of many rows have."""
BISECTIONS = 60
MOST_SEEDS = 10_000
"""No answer is given for a difference that needs more seeds."""


def power_of(effect: float, n: int, alpha: float = ALPHA) -> float:
    """Power of the two-sided paired t test of `n` >= 2 seeds for a true difference of `effect` standard deviations."""
    from scipy import stats  # on demand: this import takes most of a second, and tables do not need it

    critical = stats.t.isf(alpha / 2, n - 1)
    centre = abs(effect) * math.sqrt(n)
    tails = [stats.nct.sf(critical, n - 1, centre), stats.nct.cdf(-critical, n - 1, centre)]
    return float(np.nansum(tails))  # scipy gives NaN for a tail too thin to be computed


def detectable_difference(spread: float, n: int, alpha: float = ALPHA) -> float:
    """Smallest true difference that a two-sided paired t test of `n` >= 2 seeds finds with probability 0.8.

    `spread` is the standard deviation of the paired differences; the result is in its unit. `alpha` is the level of the
    test, already corrected for other comparisons. Raises ValueError for a negative spread or fewer than two seeds.
    """
    if spread < 0:
        raise ValueError(f"a spread cannot be negative: {spread}")
    if n < 2:
        raise ValueError(f"a test needs at least 2 seeds, not {n}")
    return detectable_effect(n, alpha) * spread


@cache
def detectable_effect(n: int, alpha: float) -> float:
    """The same in standard deviations of the paired differences.

    Given the estimated spread, the power is normal; it is averaged over the quantiles of that estimate. The chance of a
    rejection on the wrong side, below 1e-5, is left out.
    """
    critical = float(-special.stdtrit(n - 1, alpha / 2))
    threshold_Q = critical * np.sqrt(special.chdtri(n - 1, QUANTILES_Q) / (n - 1))
    low, high = 0.0, float(threshold_Q.max()) + 10.0
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        found = special.ndtr(middle - threshold_Q).mean() >= POWER
        low, high = (low, middle) if found else (middle, high)
    return high / math.sqrt(n)


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
