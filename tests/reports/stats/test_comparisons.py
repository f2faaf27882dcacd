"""Rows compared with the baseline and with the best: what is tested, what is not, and how often equal rows differ."""

import numpy as np
import pytest
from scipy import stats

from reports.stats.comparisons import compare_with, compare_with_best
from reports.stats.looks import calibrate, sequential_p
from reports.stats.p_values import holm, paired_t
from reports.stats.pairs import WhyNot


def rows(value_RN):
    return {f"row {number}": dict(enumerate(map(float, values))) for number, values in enumerate(value_RN)}


def test_a_table_by_hand():
    values = {
        "base": {0: 0.40, 1: 0.42, 2: 0.41, 3: 0.43, 4: 0.44},
        "better": {0: 0.45, 1: 0.46, 2: 0.46, 3: 0.48, 4: 0.47},
        "three seeds": {0: 0.41, 1: 0.42, 2: 0.44, 9: 0.99},
        "two seeds": {0: 0.41, 1: 0.44},
        "one seed": {1: 0.44},
        "other seeds": {7: 0.5},
        "same trials": {0: 0.40, 1: 0.42, 2: 0.41, 3: 0.43, 4: 0.44},
        "a constant": {seed: value + 0.1 for seed, value in enumerate((0.40, 0.42, 0.41, 0.43, 0.44))},
    }
    found = compare_with("base", values)
    assert list(found) == list(values)[1:]
    better = found["better"]
    expected = stats.ttest_rel([0.45, 0.46, 0.46, 0.48, 0.47], [0.40, 0.42, 0.41, 0.43, 0.44])
    assert better.difference == pytest.approx(0.044)
    assert better.p_t == pytest.approx(expected.pvalue)
    assert better.spread == pytest.approx(np.std([0.05, 0.04, 0.05, 0.05, 0.03], ddof=1))
    assert better.p_holm == pytest.approx(2 * expected.pvalue)
    assert {label: item.family for label, item in found.items() if item.family} == {"better": 2, "three seeds": 2}
    assert better.distinguishable
    assert better.interval.low < 0.044 < better.interval.high
    assert better.n == 5
    assert found["three seeds"].n == 3
    assert {label: item.untested for label, item in found.items() if item.untested} == {
        "two seeds": WhyNot.TWO_PAIRS,
        "one seed": WhyNot.ONE_PAIR,
        "other seeds": WhyNot.NO_PAIRS,
        "same trials": WhyNot.IDENTICAL,
        "a constant": WhyNot.NO_SPREAD,
    }
    assert all(found[label].p_t is None for label in ("two seeds", "one seed", "other seeds", "same trials"))
    assert found["two seeds"].difference == pytest.approx(0.015)
    assert found["two seeds"].interval is None
    assert (found["one seed"].n, found["other seeds"].difference) == (1, None)
    assert not any(item.distinguishable or item.indistinguishable for item in found.values() if item.untested)
    assert found["same trials"].interval.low == found["same trials"].interval.high == 0.0


def test_the_rows_are_corrected_together():
    value_RN = np.random.default_rng(1).normal(np.arange(5)[:, None] / 2, 1, (5, 6))
    found = compare_with("row 0", rows(value_RN))
    assert [item.p_holm for item in found.values()] == pytest.approx(holm(paired_t(value_RN[1:] - value_RN[0])))


def test_looks_replace_the_p():
    looks = calibrate(3, 6, np.random.default_rng(0))
    value_RN = np.random.default_rng(1).normal(np.arange(4)[:, None], 1, (4, 6))
    found = compare_with("row 0", rows(value_RN), looks=looks)
    assert [item.p_t for item in found.values()] == pytest.approx(sequential_p(value_RN[1:] - value_RN[0], looks))


def test_the_best_of_equal_rows_is_rarely_better_than_the_others():
    value_SRN = np.random.default_rng(9).standard_normal((2000, 6, 5))
    best_S = value_SRN.mean(axis=2).argmax(axis=1)
    p_SR = paired_t(value_SRN - value_SRN[np.arange(2000), best_S][:, None])
    assert (holm(p_SR, 15) <= 0.05).any(axis=1).mean() <= 0.05
    assert (holm(p_SR) <= 0.05).any(axis=1).mean() > 0.06, "the naive correction would have done"
    for value_RN, best, p_R in zip(value_SRN[:20], best_S, p_SR, strict=False):
        found = compare_with_best(f"row {best}", rows(value_RN))
        assert [item.p_holm for item in found.values()] == pytest.approx(np.delete(holm(p_R, 15), best))


def test_rows_equal_to_the_best_do_not_count():
    values = rows(np.random.default_rng(1).normal(size=(3, 5)))
    equal = compare_with_best("row 0", {**values, "the same": dict(values["row 0"])})
    assert equal["the same"].untested is WhyNot.IDENTICAL
    assert equal["row 1"].p_holm == compare_with_best("row 0", values)["row 1"].p_holm


def test_a_single_row_has_nothing_to_be_compared_with():
    assert compare_with("row 0", rows(np.ones((1, 5)))) == {}
    assert compare_with_best("row 0", rows(np.ones((1, 5)))) == {}
    with pytest.raises(KeyError):
        compare_with("nobody", rows(np.ones((1, 5))))


def test_a_part_of_the_rows_is_corrected_for_all_of_them():
    values = rows(np.random.default_rng(1).normal(np.arange(4)[:, None], 1, (4, 6)))
    part = {label: values[label] for label in ("row 0", "row 3")}
    found = compare_with("row 0", part, family=3)["row 3"]
    assert (found.family, found.p_holm) == (3, pytest.approx(3 * found.p_t))
    with pytest.raises(ValueError, match="family of 2"):
        compare_with("row 0", values, family=2)


@pytest.mark.parametrize(("true", "least", "most"), [(0, 0.02, 0.05), (2, 0.01, 0.05), (4, 0.003, 0.05)])
def test_false_alarms_of_all_verdicts_of_a_column(true, least, most):
    """1,000 sweeps of 6 rows and 5 seeds, of which `true` differ from the baseline: any other row called different."""
    shift_R1 = np.array([0.0] * (6 - true) + [3.0] * true)[:, None]
    alarms = 0
    for value_RN in np.random.default_rng(6).standard_normal((1000, 6, 5)) + shift_R1:
        found = compare_with("row 0", rows(value_RN))
        alarms += any(found[f"row {number}"].distinguishable for number in range(1, 6 - true))
    assert least <= alarms / 1000 <= most
