"""Wilcoxon's signed-rank test over data sets, against an enumeration of all signs and against SciPy."""

from itertools import product

import numpy as np
import pytest
from scipy import stats

from reports.stats.p_values import ALPHA
from reports.stats.signed_rank import MIN_DATA_SETS, least_p, signed_rank_p


def by_enumeration(differences):
    """Two-sided p: every choice of signs is equally likely."""
    kept = [value for value in differences if value != 0]
    ranks = [
        sum(abs(other) < abs(value) for other in kept) + (sum(abs(other) == abs(value) for other in kept) + 1) / 2
        for value in kept
    ]
    observed = sum(rank for rank, value in zip(ranks, kept, strict=True) if value > 0)
    sums = [sum(r for r, sign in zip(ranks, signs, strict=True) if sign) for signs in product((0, 1), repeat=len(kept))]
    lower = sum(value <= observed for value in sums) / len(sums)
    upper = sum(value >= observed for value in sums) / len(sums)
    return min(1.0, 2 * min(lower, upper))


@pytest.mark.parametrize("count", [1, 2, 5, 6, 9])
def test_p_is_that_of_all_signs(count):
    generator = np.random.default_rng(count)
    for place in range(20):
        difference_K = generator.normal(0.3, 1.0, count)
        if place % 2:  # ties and zeros
            difference_K = np.round(difference_K)
        assert signed_rank_p(difference_K) == pytest.approx(by_enumeration(difference_K.tolist()))


def test_p_is_that_of_scipy_without_ties():
    difference_K = np.random.default_rng(0).normal(0.5, 1.0, 14)
    assert signed_rank_p(difference_K) == pytest.approx(stats.wilcoxon(difference_K, method="exact").pvalue)


def test_all_on_one_side_has_the_least_p():
    for count in range(1, 12):
        assert signed_rank_p(np.arange(1.0, count + 1)) == pytest.approx(least_p(count))
    assert least_p(MIN_DATA_SETS) <= ALPHA < least_p(MIN_DATA_SETS - 1)
    assert signed_rank_p(np.zeros(7)) == 1.0
    assert signed_rank_p(np.zeros(0)) == 1.0
