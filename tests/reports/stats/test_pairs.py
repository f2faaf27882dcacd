"""Pairs by seed, and every reason not to test them."""

import numpy as np
import pytest

from reports.stats.pairs import WhyNot, paired, sample_std, why_not


def test_only_shared_seeds_are_paired_and_they_are_in_order():
    seeds, difference_N = paired({3: 0.5, 0: 0.4, 7: 0.9}, {0: 0.1, 3: 0.3, 9: 0.0})
    assert seeds == (0, 3)
    assert difference_N == pytest.approx([0.3, 0.2])
    assert paired({0: 1.0}, {1: 1.0})[0] == ()


def test_rounding_is_no_difference():
    assert not paired({0: 0.3, 1: 0.1 + 0.2}, {0: 0.1 + 0.2, 1: 0.3})[1].any()


def test_sample_std_by_hand():
    assert sample_std(np.array([1.0, 2.0, 4.0])) == pytest.approx(
        (((4 / 3) ** 2 + (1 / 3) ** 2 + (5 / 3) ** 2) / 2) ** 0.5
    )
    assert np.isnan(sample_std(np.array([1.0])))
    assert sample_std(np.array([[1.0, 3.0], [2.0, 2.0]])) == pytest.approx([2**0.5, 0.0])


@pytest.mark.parametrize(
    ("difference_N", "reason"),
    [
        ([], WhyNot.NO_PAIRS),
        ([0.1], WhyNot.ONE_PAIR),
        ([0.1, 0.2], WhyNot.TWO_PAIRS),
        ([0.0, 0.0, 0.0], WhyNot.IDENTICAL),
        ([0.1, 0.1, 0.1], WhyNot.NO_SPREAD),
        ([0.45 - 0.35, 0.55 - 0.45, 0.3 - 0.2], WhyNot.NO_SPREAD),
        ([0.1, 0.1, 0.2], None),
    ],
)
def test_why_not(difference_N, reason):
    assert why_not(np.array(difference_N)) is reason
