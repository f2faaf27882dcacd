"""Seeds needed, against statsmodels and against simulated experiments."""

import numpy as np
import pytest
from statsmodels.stats.power import TTestPower

from reports.stats.p_values import paired_t
from reports.stats.power import MOST_SEEDS, power_of, seeds_needed


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
