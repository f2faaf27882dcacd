"""`until: decided`: false alarms by simulation over the whole course of a sweep, verdicts, and what they rest on."""

import numpy as np
import pytest
from scipy import stats

from reports.stats import Looks, Verdict, calibrate, decide, holm, paired_t, sequential_p, t_interval


@pytest.fixture(scope="module")
def looks() -> Looks:
    return calibrate(3, 10, np.random.default_rng(0))


def top_up(difference_SRN, looks, alpha=0.05):
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
    _, decided_SR = top_up(value_SRN[:, 1:] - value_SRN[:, :1], looks)
    alarms = int(decided_SR.any(axis=1).sum())
    interval = stats.binomtest(alarms, 2000).proportion_ci()
    assert alarms / 2000 <= 0.05, f"{alarms} of 2000, 95 % interval {interval.low:.4f} to {interval.high:.4f}"
    assert interval.low > 0.02, "a test that never alarms would pass as well"


def test_without_the_correction_looking_again_and_again_alarms_too_often():
    value_SRN = np.random.default_rng(8).standard_normal((2000, 6, 10))
    difference_SRN = value_SRN[:, 1:] - value_SRN[:, :1]
    naive = [(holm(paired_t(difference_SRN[..., :n])) <= 0.05).any(axis=1) for n in range(3, 11)]
    assert np.any(naive, axis=0).mean() > 0.1


def test_a_single_row_keeps_its_level(looks):
    difference_RN = np.random.default_rng(1).standard_normal((20_000, 10))
    p_R = sequential_p(difference_RN, looks)
    for level in (0.05, 0.01, 0.002):
        assert (p_R <= level).mean() == pytest.approx(level, rel=0.35)
        crossed = [
            paired_t(difference_RN[:, :n]) <= nominal
            for n, nominal in zip(range(3, 11), looks.nominal(level), strict=True)
        ]
        assert (np.any(crossed, axis=0) == (p_R <= level)).all()


def test_the_corrected_interval_holds_at_every_look_at_once(looks):
    difference_RN = np.random.default_rng(2).standard_normal((5000, 10))
    holds = np.ones(5000, dtype=bool)
    for n, nominal in zip(range(3, 11), looks.nominal(0.05), strict=True):
        low, high = t_interval(difference_RN[:, :n], 1 - nominal)
        holds &= (low <= 0) & (high >= 0)
    assert 0.935 <= holds.mean() <= 0.965


def test_a_clear_difference_is_found_with_fewer_seeds(looks):
    difference_SRN = np.random.default_rng(3).normal(1.5, 1, (500, 5, 10))
    used_SR, decided_SR = top_up(difference_SRN, looks)
    assert decided_SR.mean() > 0.8
    assert used_SR.mean() < 8.5


def test_rare_levels_are_bounded_by_bonferroni(looks):
    total = looks.weight_L.sum()
    tiny = 1e-9
    assert looks.overall(np.array(tiny)) == pytest.approx(tiny * total)
    assert looks.nominal(1e-8).sum() == pytest.approx(1e-8)
    scaled = np.geomspace(1e-10, 10, 300)
    assert (np.diff(looks.overall(scaled)) >= 0).all()
    assert (looks.overall(scaled) <= np.minimum(scaled * total, 1)).all()


def test_decide_is_the_same_as_the_arrays(looks):
    value_SRN = np.random.default_rng(4).normal(np.array([0, 0, 0.5, 1, 2, 3])[:, None], 1, (10, 6, 7))
    for difference_RN in value_SRN[:, 1:] - value_SRN[:, :1]:
        found = decide({str(row): values for row, values in enumerate(difference_RN)}, looks)
        p_R = sequential_p(difference_RN, looks)
        assert [item.p for item in found.values()] == pytest.approx(p_R)
        assert [item.p_holm for item in found.values()] == pytest.approx(holm(p_R))
        assert [item.decided for item in found.values()] == list(holm(p_R) <= 0.05)


def test_verdicts(looks):
    noise = np.array([0.1, -0.1, 0.05, -0.05, 0.02, 0.1, -0.12, 0.03, 0.0, -0.02])
    found = decide(
        {
            "up": 5 + noise,
            "down": -5 + noise,
            "not yet": noise[:4],
            "never": noise,
            "same trials": np.zeros(3),
            "two seeds": 5 + noise[:2],
            "no seed": np.empty(0),
            "a constant": np.full(5, 0.1),
            "beyond the last look": np.append(noise, [5.0] * 20),
        },
        looks,
    )
    assert {label: item.verdict for label, item in found.items()} == {
        "up": Verdict.BETTER,
        "down": Verdict.WORSE,
        "not yet": Verdict.OPEN,
        "never": Verdict.UNDECIDED,
        "same trials": Verdict.IDENTICAL,
        "two seeds": Verdict.OPEN,
        "no seed": Verdict.OPEN,
        "a constant": Verdict.OPEN,
        "beyond the last look": Verdict.UNDECIDED,
    }
    assert found["beyond the last look"].n == 10
    assert found["up"].interval.excludes_zero
    assert not found["never"].interval.excludes_zero
    assert (found["no seed"].difference, found["no seed"].interval, found["two seeds"].interval) == (None, None, None)
    assert decide({"up": 5 + noise}, looks, maximize=False)["up"].verdict is Verdict.WORSE


def test_rows_that_wait_for_seeds_count_in_the_family(looks):
    clear = 1.5 + np.array([0.3, -0.4, 0.1, -0.2, 0.6])
    alone = decide({"row": clear}, looks)["row"]
    beside = decide({"row": clear, **{str(number): np.empty(0) for number in range(9)}}, looks)["row"]
    assert beside.p_holm == pytest.approx(10 * alone.p)


def test_the_first_look_needs_three_seeds():
    with pytest.raises(ValueError, match="3 seeds or more upwards, not from 2 to 10"):
        calibrate(2, 10, np.random.default_rng(0))
    with pytest.raises(ValueError, match="not from 5 to 4"):
        calibrate(5, 4, np.random.default_rng(0))


def test_the_correction_is_named(looks):
    assert looks.correction.startswith("p corrected for 8 looks, after 3 to 10 seeds")
