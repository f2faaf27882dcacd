"""Seeds needed and differences found, against statsmodels and against simulated sweeps."""

import numpy as np
import pytest
from statsmodels.stats.power import TTestPower

from reports.stats.comparisons import compare_with
from reports.stats.looks import calibrate, sequential_p
from reports.stats.p_values import paired_t
from reports.stats.power import MOST_SEEDS, detectable_difference, power_of, seeds_needed


@pytest.mark.parametrize("effect", [0.05, 0.3, 0.5, 1.0, 1.3, 2.0, 3.0])
@pytest.mark.parametrize("alpha", [0.05, 0.01])
def test_seeds_needed_equals_statsmodels(effect, alpha):
    oracle = TTestPower()
    found = seeds_needed(-effect * 0.02, 0.02, alpha)
    assert found is not None
    assert power_of(effect, found, alpha) == pytest.approx(oracle.power(effect, found, alpha), abs=1e-6)
    assert oracle.power(effect, found, alpha) >= 0.8
    assert found == 3 or oracle.power(effect, found - 1, alpha) < 0.8


def test_the_power_equals_that_of_simulated_experiments():
    difference_RN = np.random.default_rng(0).normal(1, 1, (20_000, 10))
    assert (paired_t(difference_RN) <= 0.05).mean() == pytest.approx(power_of(1.0, 10), abs=0.01)


def test_the_ends():
    assert seeds_needed(0.0, 0.02) is None
    assert seeds_needed(1e-5, 0.02) is None
    assert seeds_needed(0.1, 0.0) == 3
    assert seeds_needed(100.0, 1.0) == 3
    hardest = seeds_needed(0.0281, 1.0)
    assert hardest is not None
    assert 9_000 < hardest <= MOST_SEEDS
    with pytest.raises(ValueError, match="negative"):
        seeds_needed(0.1, -1.0)


@pytest.mark.parametrize("n", [3, 5, 10, 40])
@pytest.mark.parametrize("alpha", [0.05, 0.0125, 0.001])
def test_the_detectable_difference_has_a_power_of_80_percent(n, alpha):
    found = detectable_difference(0.02, n, alpha)
    assert power_of(found / 0.02, n, alpha) == pytest.approx(0.8, abs=1e-4)


def test_it_is_found_in_four_of_five_simulated_sweeps_of_five_rows_and_five_seeds():
    size = detectable_difference(2**0.5, 5, 0.05 / 4)  # rows with a standard deviation of 1, differences of 2**0.5
    found = 0
    for value_RN in np.random.default_rng(4).standard_normal((2000, 5, 5)):
        value_RN[4] += size
        values = {str(number): dict(enumerate(map(float, value_N))) for number, value_N in enumerate(value_RN)}
        found += compare_with("0", values)["4"].distinguishable
    assert found / 2000 == pytest.approx(0.8, abs=0.025)


def test_looks_find_it_at_least_as_often_as_their_last_level_says():
    looks = calibrate(3, 10, np.random.default_rng(0))
    for overall in (0.05, 0.0125, 0.0005):
        assert looks.overall(np.array(looks.last_level(overall))) == pytest.approx(overall, rel=0.01)
    size = detectable_difference(1.0, 10, looks.last_level(0.0125))
    p_R = sequential_p(np.random.default_rng(1).normal(size, 1, (4000, 10)), looks)
    assert 0.79 <= (p_R <= 0.0125).mean() <= 0.9


def test_tiny_levels_of_large_tables_have_an_answer():
    sizes = [detectable_difference(1.0, 5, alpha) for alpha in (1e-4, 1e-6, 1e-9, 1e-12)]
    assert sizes == sorted(sizes)
    assert np.isfinite(sizes).all()
    assert detectable_difference(0.0, 5) == 0.0
    with pytest.raises(ValueError, match="negative"):
        detectable_difference(-1.0, 5)
    with pytest.raises(ValueError, match="at least 2 seeds, not 1"):
        detectable_difference(1.0, 1)
