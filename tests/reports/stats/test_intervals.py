"""Intervals: coverage by simulation, also with heavy tails, and agreement with scipy."""

import numpy as np
import pytest
from scipy import stats

from reports.stats.intervals import mean_interval, t_interval
from reports.stats.p_values import paired_t

SEEDS = (3, 5, 8, 10)


def coverage(low, high):
    return float(np.mean((low <= 0) & (high >= 0)))


@pytest.mark.parametrize("n", SEEDS)
def test_the_interval_covers_95_percent(n):
    difference_RN = np.random.default_rng(n).standard_normal((4000, n))
    assert 0.935 <= coverage(*t_interval(difference_RN)) <= 0.965


@pytest.mark.parametrize("n", SEEDS)
@pytest.mark.parametrize("tails", ["laplace", "t of 3 degrees", "one seed in ten is off"])
def test_heavy_tails_do_not_make_it_cover_less(n, tails):
    generator = np.random.default_rng(n)
    difference_RN = {
        "laplace": lambda: generator.laplace(size=(4000, n)),
        "t of 3 degrees": lambda: generator.standard_t(3, size=(4000, n)),
        "one seed in ten is off": lambda: (
            generator.standard_normal((4000, n)) * np.where(generator.random((4000, n)) < 0.1, 5.0, 1.0)
        ),
    }[tails]()
    intervals = [mean_interval(difference_N) for difference_N in difference_RN]
    covered = coverage(np.array([item.low for item in intervals]), np.array([item.high for item in intervals]))
    assert 0.948 <= covered <= 0.98


@pytest.mark.parametrize("n", SEEDS)
def test_it_excludes_zero_exactly_where_the_test_is_significant(n):
    difference_RN = np.random.default_rng(n).normal(0.8, 1, (2000, n))
    low, high = t_interval(difference_RN)
    assert (((low > 0) | (high < 0)) == (paired_t(difference_RN) < 0.05)).all()


def test_the_percentile_bootstrap_would_not_cover():
    generator = np.random.default_rng(1)
    difference_RN = generator.standard_normal((1000, 5))
    count_RN = generator.multinomial(5, np.full(5, 0.2), size=999)
    low, high = np.quantile(difference_RN @ count_RN.T / 5, [0.025, 0.975], axis=1)
    assert coverage(low, high) < 0.87


@pytest.mark.parametrize("n", [4, 12])
def test_the_t_interval_equals_scipy(n):
    difference_N = np.random.default_rng(0).normal(0.2, 1, n)
    found = mean_interval(difference_N)
    expected = stats.ttest_1samp(difference_N, 0).confidence_interval()
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), rel=1e-12)


@pytest.mark.parametrize("n", [3, 9])
def test_no_spread_is_no_width(n):
    found = mean_interval(np.full(n, 0.1))
    assert (found.low, found.high) == pytest.approx((0.1, 0.1))


def test_two_differences_are_too_few():
    with pytest.raises(ValueError, match="at least 3 differences, not 2"):
        mean_interval(np.array([0.1, 0.2]))
