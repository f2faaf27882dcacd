"""Intervals: coverage by simulation, and agreement with scipy and with resampling by hand."""

from itertools import product

import numpy as np
import pytest
from scipy import stats

from reports.stats.intervals import BOOTSTRAP_FROM, bootstrap_t, mean_interval, resamples, t_interval


def coverage(low, high):
    return float(np.mean((low <= 0) & (high >= 0)))


@pytest.mark.parametrize("n", [3, 4, 5, 6, 8, 10])
def test_the_interval_covers_95_percent(n):
    generator = np.random.default_rng(n)
    difference_RN = generator.standard_normal((4000 if n < BOOTSTRAP_FROM else 2000, n))
    if n < BOOTSTRAP_FROM:
        ends = t_interval(difference_RN)
    else:
        count_RN, weight_R = resamples(n, generator)
        parts = [bootstrap_t(part, count_RN, weight_R) for part in np.array_split(difference_RN, 20)]
        ends = tuple(np.concatenate([part[side] for part in parts]) for side in (0, 1))
    assert 0.935 <= coverage(*ends) <= 0.965


def test_the_bootstrap_t_of_five_seeds_covers_with_very_wide_intervals():
    difference_RN = np.random.default_rng(5).standard_normal((2000, 5))
    low, high = bootstrap_t(difference_RN, *resamples(5, np.random.default_rng(0)))
    t_low, t_high = t_interval(difference_RN)
    assert 0.935 <= coverage(low, high) <= 0.965
    assert np.mean(high - low > 2 * (t_high - t_low)) > 0.08


def test_the_percentile_bootstrap_would_not_cover():
    generator = np.random.default_rng(1)
    difference_RN = generator.standard_normal((1000, 5))
    count_RN = generator.multinomial(5, np.full(5, 0.2), size=999)
    low, high = np.quantile(difference_RN @ count_RN.T / 5, [0.025, 0.975], axis=1)
    assert coverage(low, high) < 0.87


def test_the_t_interval_equals_scipy():
    difference_N = np.random.default_rng(0).normal(0.2, 1, 4)
    found = mean_interval(difference_N, np.random.default_rng(0))
    expected = stats.ttest_1samp(difference_N, 0).confidence_interval()
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), rel=1e-12)
    assert found.method == "t"


def test_resamples_have_the_weights_of_all_ordered_draws():
    count_RN, weight_R = resamples(4, np.random.default_rng(0))
    draws = [tuple(np.bincount(draw, minlength=4)) for draw in product(range(4), repeat=4) if len(set(draw)) > 1]
    assert len(count_RN) == len(set(draws)) == 31
    for count_N, weight in zip(count_RN, weight_R, strict=True):
        assert weight == pytest.approx(draws.count(tuple(count_N)) / len(draws))


def test_the_bootstrap_t_equals_a_loop_over_every_ordered_draw():
    difference_N = np.array([0.3, -0.1, 0.4, 0.35, 0.05])
    mean, error = difference_N.mean(), difference_N.std(ddof=1) / 5**0.5
    draws = [draw for draw in product(difference_N, repeat=5) if len(set(draw)) > 1]
    ratios = [(np.mean(draw) - mean) / (np.std(draw, ddof=1) / 5**0.5) for draw in draws]
    low, high = np.quantile(ratios, [0.025, 0.975], method="inverted_cdf")
    found = bootstrap_t(difference_N, *resamples(5, np.random.default_rng(0)))
    assert found == pytest.approx((mean - high * error, mean - low * error), rel=1e-9)


def test_equal_generators_give_equal_intervals_beyond_eight_seeds():
    difference_N = np.random.default_rng(3).normal(size=12)
    first, second = (mean_interval(difference_N, np.random.default_rng(5)) for _ in range(2))
    assert first == second
    assert first.method == "bootstrap-t"
    assert first.low < difference_N.mean() < first.high


@pytest.mark.parametrize("n", [3, 9])
def test_no_spread_is_no_width(n):
    found = mean_interval(np.full(n, 0.1), np.random.default_rng(0))
    assert (found.low, found.high) == pytest.approx((0.1, 0.1))


def test_tied_differences_have_an_interval():
    found = mean_interval(np.array([0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.2]), np.random.default_rng(0))
    assert found.method == "bootstrap-t"
    assert found.low < 0.1125 < found.high


def test_two_differences_are_too_few():
    with pytest.raises(ValueError, match="at least 3 differences, not 2"):
        mean_interval(np.array([0.1, 0.2]), np.random.default_rng(0))
