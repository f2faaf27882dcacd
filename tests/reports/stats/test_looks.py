"""`until: decided`: false alarms by simulation over the whole course of a sweep, and which rows get further seeds."""

import numpy as np
import pytest
from scipy import stats

from reports.stats.looks import Looks, calibrate, sequential_p, undecided
from reports.stats.p_values import holm, paired_t


@pytest.fixture(scope="module")
def looks() -> Looks:
    return calibrate(3, 10, np.random.default_rng(0))


def add_seeds(difference_SRN, looks, alpha=0.05):
    """Sweeps in which only undecided rows get further seeds: seeds used and whether decided, per sweep and row."""
    p_SR = np.ones(difference_SRN.shape[:2])
    used_SR = np.zeros(difference_SRN.shape[:2], dtype=int)
    decided_SR = np.zeros(difference_SRN.shape[:2], dtype=bool)
    for n in range(looks.first, looks.last + 1):
        p_SR = np.where(decided_SR, p_SR, sequential_p(difference_SRN[..., :n], looks))
        used_SR = np.where(decided_SR, used_SR, n)
        decided_SR |= holm(p_SR) <= alpha
    return used_SR, decided_SR


def test_false_alarms_over_2000_sweeps_topped_up_from_3_to_10_seeds(looks):
    value_SRN = np.random.default_rng(8).standard_normal((2000, 6, 10))
    _, decided_SR = add_seeds(value_SRN[:, 1:] - value_SRN[:, :1], looks)
    alarms = int(decided_SR.any(axis=1).sum())
    interval = stats.binomtest(alarms, 2000).proportion_ci()
    assert alarms / 2000 <= 0.05, f"{alarms} of 2000, 95 % interval {interval.low:.4f} to {interval.high:.4f}"
    assert interval.low > 0.02, "a test that never alarms would pass as well"


def test_repeated_looks_without_the_correction_alarm_too_often():
    value_SRN = np.random.default_rng(8).standard_normal((2000, 6, 10))
    difference_SRN = value_SRN[:, 1:] - value_SRN[:, :1]
    naive = [(holm(paired_t(difference_SRN[..., :n])) <= 0.05).any(axis=1) for n in range(3, 11)]
    assert np.any(naive, axis=0).mean() > 0.1


def test_a_single_row_keeps_its_level(looks):
    difference_RN = np.random.default_rng(1).standard_normal((20_000, 10))
    p_R = sequential_p(difference_RN, looks)
    for level in (0.05, 0.01, 0.002):
        assert (p_R <= level).mean() == pytest.approx(level, rel=0.35)


def test_a_clear_difference_is_found_with_fewer_seeds(looks):
    difference_SRN = np.random.default_rng(3).normal(1.5, 1, (500, 5, 10))
    used_SR, decided_SR = add_seeds(difference_SRN, looks)
    assert decided_SR.mean() > 0.8
    assert used_SR.mean() < 8.5


def test_rare_levels_are_bounded_by_bonferroni(looks):
    total = looks.weight_L.sum()
    tiny = 1e-9
    assert looks.overall(np.array(tiny)) == pytest.approx(tiny * total)
    scaled = np.geomspace(1e-10, 10, 300)
    assert (np.diff(looks.overall(scaled)) >= 0).all()
    assert (looks.overall(scaled) <= np.minimum(scaled * total, 1)).all()


def test_undecided_is_the_same_as_the_arrays(looks):
    value_SRN = np.random.default_rng(4).normal(np.array([0, 0, 0.5, 1, 2, 3])[:, None], 1, (10, 6, 7))
    counts = set()
    for difference_RN in value_SRN[:, 1:] - value_SRN[:, :1]:
        found = undecided({str(row): values for row, values in enumerate(difference_RN)}, looks)
        assert found == {str(row) for row in np.flatnonzero(holm(sequential_p(difference_RN, looks)) > 0.05)}
        counts.add(len(found))
    assert len(counts) > 1, "some are decided, some are not"


def test_which_rows_get_further_seeds(looks):
    noise = np.array([0.1, -0.1, 0.05, -0.05, 0.02, 0.1, -0.12, 0.03, 0.0, -0.02])
    differences = {
        "up": 5 + noise,
        "up, four seeds": 5 + noise[:4],
        "down, four seeds": -5 + noise[:4],
        "not yet": noise[:4],
        "never": noise,
        "same trials": np.zeros(3),
        "same trials, two seeds": np.zeros(2),
        "two seeds": 5 + noise[:2],
        "no seed": np.empty(0),
        "a constant": np.full(5, 0.1),
        "beyond the last look": np.append(noise, [5.0] * 20),
    }
    assert undecided(differences, looks) == {
        "not yet",
        "same trials, two seeds",
        "two seeds",
        "no seed",
        "a constant",
    }
    assert undecided({}, looks) == set()
    assert undecided({"same trials": np.zeros(3)}, looks) == set()


def test_rows_that_wait_for_seeds_count_in_the_family(looks):
    clear = 1.5 + np.array([0.3, -0.4, 0.1, -0.2, 0.6])
    assert sequential_p(clear, looks) < 0.05 < 10 * sequential_p(clear, looks)
    assert undecided({"row": clear}, looks) == set()
    waiting = {str(number): np.empty(0) for number in range(9)}
    assert undecided({"row": clear, **waiting}, looks) == {"row", *waiting}


def test_the_first_look_needs_three_seeds():
    with pytest.raises(ValueError, match="3 seeds or more upwards, not from 2 to 10"):
        calibrate(2, 10, np.random.default_rng(0))
    with pytest.raises(ValueError, match="not from 5 to 4"):
        calibrate(5, 4, np.random.default_rng(0))


def test_the_correction_is_named(looks):
    assert looks.correction.startswith("p corrected for 8 looks, after 3 to 10 seeds")
