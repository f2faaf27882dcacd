"""Wilcoxon's signed-rank test over data sets, for whether one row is better than another on data sets like these.

Demšar (2006, Journal of Machine Learning Research 7, section 3.1.3) recommends it for two methods on several data sets:
the data sets are the sample, and each contributes one difference. With K data sets no p is below 2 / 2^K, so fewer than
six cannot show anything at 5 %. The seeds within a data set do not add to K. Axes: K data sets.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["MIN_DATA_SETS", "least_p", "signed_rank_p"]

MIN_DATA_SETS = 6
"""With fewer the smallest p is above 5 %."""


def least_p(data_sets: int) -> float:
    """Smallest p of the test: all differences have the same sign."""
    return float(min(1.0, 2.0 ** (1 - data_sets)))


def signed_rank_p(difference_K: NDArray[np.float64]) -> float:
    """Exact two-sided p of K >= 0 differences, given their ranks; 1 if all are zero.

    Differences of zero are left out, as Wilcoxon did; equal sizes share their mean rank.
    """
    nonzero_K = difference_K[difference_K != 0]
    size_K = np.abs(nonzero_K)
    smaller_K = (size_K[:, None] > size_K).sum(axis=1)
    equal_K = (size_K[:, None] == size_K).sum(axis=1)
    twice_rank_K = 2 * smaller_K + equal_K + 1  # whole numbers, also where ranks are shared
    ways_W = np.ones(1)  # by the doubled sum of the positive ranks, the share of all 2^K choices of signs
    for rank in twice_rank_K:
        longer_W = np.zeros(len(ways_W) + rank)
        longer_W[: len(ways_W)] += ways_W / 2
        longer_W[rank:] += ways_W / 2
        ways_W = longer_W
    observed = int(twice_rank_K[nonzero_K > 0].sum())
    lower, upper = ways_W[: observed + 1].sum(), ways_W[observed:].sum()
    return float(min(1.0, 2 * min(lower, upper)))
