"""p-values against scipy, statsmodels and products done by hand; Holm under the null."""

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

from reports.stats.p_values import holm, paired_t


@pytest.mark.parametrize("n", [2, 3, 5, 10])
def test_paired_t_equals_scipy(n):
    generator = np.random.default_rng(n)
    left_RN, right_RN = generator.normal(0.3, 1, (20, n)), generator.normal(0, 1, (20, n))
    assert paired_t(left_RN - right_RN) == pytest.approx(stats.ttest_rel(left_RN, right_RN, axis=1).pvalue, rel=1e-9)


def test_paired_t_of_differences_without_spread_is_nan():
    assert np.isnan(paired_t(np.array([[0.1, 0.1, 0.1], [0.0, 0.0, 0.0]]))).all()


def test_holm_by_hand():
    assert holm(np.array([0.01, 0.04, 0.03])) == pytest.approx([0.03, 0.06, 0.06])
    assert holm(np.array([0.5, 0.9])) == pytest.approx([1.0, 1.0])
    assert holm(np.array([0.01, 0.04]), 5) == pytest.approx([0.05, 0.16])
    assert holm(np.array([])).size == 0
    with pytest.raises(ValueError, match="family of 1"):
        holm(np.array([0.1, 0.2]), 1)


def test_holm_equals_statsmodels_and_skips_nan():
    p_SM = np.random.default_rng(0).uniform(size=(5, 7)) ** 2
    expected = [multipletests(p_M, method="holm")[1] for p_M in p_SM]
    assert holm(p_SM) == pytest.approx(np.array(expected))
    with_missing = np.insert(p_SM[0], 3, np.nan)
    assert np.delete(holm(with_missing), 3) == pytest.approx(expected[0])
    assert np.isnan(holm(with_missing)[3])


def test_false_alarms_over_2000_sweeps_of_6_rows_and_5_seeds():
    value_SRN = np.random.default_rng(6).standard_normal((2000, 6, 5))
    alarms = int((holm(paired_t(value_SRN[:, 1:] - value_SRN[:, :1])) <= 0.05).any(axis=1).sum())
    interval = stats.binomtest(alarms, 2000).proportion_ci()
    assert alarms / 2000 <= 0.05, f"{alarms} of 2000, 95 % interval {interval.low:.4f} to {interval.high:.4f}"
    assert interval.low > 0.02, "a test that never alarms would pass as well"
    uncorrected = (paired_t(value_SRN[:, 1:] - value_SRN[:, :1]) <= 0.05).any(axis=1).mean()
    assert uncorrected > 0.12
