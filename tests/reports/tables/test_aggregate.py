"""Cells against slower arithmetic, and every way a value can be missing."""

import math
import random
import statistics

import pandas as pd
import pytest

from orchestrator.store.attempt_record import State
from reports.tables.aggregate import Gap, aggregate, paired_difference
from tests.reports.conftest import results_of

MIOU = "final/miou"
ROWS = {"base": {"contrast.source": "none"}, "ours": {"contrast.source": "inter_image"}}


def test_means_and_spreads_equal_those_of_pandas_and_statistics(sweep_of, outcomes_of):
    draw = random.Random(3)
    seeds = tuple(range(7))
    values = {label: [draw.gauss(0.4, 0.03) for _ in seeds] for label in ROWS}
    cells = aggregate(results_of(sweep_of(ROWS, seeds=seeds), outcomes_of(values, seeds=seeds)), MIOU)
    frame = pd.DataFrame(values)
    for label, cell in cells.items():
        assert cell.mean == pytest.approx(frame[label].mean(), rel=1e-12)
        assert cell.std == pytest.approx(frame[label].std(ddof=1), rel=1e-12)
        squares = sum((value - sum(values[label]) / 7) ** 2 for value in values[label])
        assert cell.std == pytest.approx(math.sqrt(squares / 6), rel=1e-12)
        assert cell.complete
        assert cell.rankable
    difference = statistics.fmean(values["ours"]) - statistics.fmean(values["base"])
    assert cells["ours"].delta == pytest.approx(difference, rel=1e-9)
    assert cells["base"].delta is None


def test_the_difference_leaves_out_a_seed_that_one_row_lacks(sweep_of, outcomes_of):
    # seed 2 is far better than the others; the baseline's run of it failed
    outcomes = outcomes_of({"base": [0.40, 0.42, State.USER_ERROR], "ours": [0.41, 0.42, 0.90]})
    cells = aggregate(results_of(sweep_of(ROWS), outcomes), MIOU)
    assert cells["ours"].delta == pytest.approx((0.01 + 0.00) / 2)
    assert cells["ours"].complete
    assert cells["base"].n == 2


def test_no_shared_seed_is_no_difference():
    assert paired_difference({0: 0.4}, {1: 0.4}) is None
    assert paired_difference({}, {}) is None


@pytest.mark.parametrize(
    ("value", "gap"),
    [
        (State.USER_ERROR, Gap.FAILED),
        (State.LOST, Gap.LOST),
        (None, Gap.NOT_RUN),
        ({"final/pixel_accuracy": 0.9}, Gap.NOT_REPORTED),
        (math.nan, Gap.NOT_FINITE),
        (-math.inf, Gap.NOT_FINITE),
    ],
)
def test_a_gap_is_named_and_never_averaged(sweep_of, outcomes_of, value, gap):
    outcomes = outcomes_of({"base": [0.40, 0.41, 0.42], "ours": [0.50, value, 0.52]})
    cell = aggregate(results_of(sweep_of(ROWS), outcomes), MIOU)["ours"]
    assert cell.gaps == {1: gap}
    assert (cell.n, cell.expected, cell.complete, cell.rankable) == (2, 3, False, False)
    assert cell.mean == pytest.approx(0.51)


def test_one_value_has_no_spread_and_no_rank(sweep_of, outcomes_of):
    cell = aggregate(results_of(sweep_of(ROWS, seeds=(0,)), outcomes_of({"base": [0.4], "ours": [0.5]})), MIOU)["ours"]
    assert (cell.mean, cell.std, cell.complete, cell.rankable) == (0.5, None, True, False)


def test_no_value_at_all(sweep_of):
    cell = aggregate(results_of(sweep_of(ROWS), {}), MIOU)["ours"]
    assert (cell.mean, cell.std, cell.delta, cell.n, cell.expected) == (None, None, None, 0, 3)


def test_rows_that_share_trials_show_the_same_values(sweep_of, outcomes_of):
    sweep = sweep_of(ROWS, shared={"ours": "base"})
    cells = aggregate(results_of(sweep, outcomes_of({"base": [0.40, 0.41, 0.45]})), MIOU)
    assert cells["ours"].values == cells["base"].values
    assert (cells["ours"].n, cells["ours"].delta) == (3, 0.0)


def test_outcomes_that_were_not_planned_are_not_counted(sweep_of, outcomes_of):
    outcomes = outcomes_of({"base": [0.4, 0.4], "ours": [0.5, 0.5], "stranger": [0.9, 0.9]})
    cells = aggregate(results_of(sweep_of(ROWS, seeds=(0, 1)), outcomes), MIOU)
    assert list(cells) == ["base", "ours"]
    assert cells["ours"].mean == 0.5


def test_without_baseline_there_is_no_difference(sweep_of, outcomes_of):
    outcomes = outcomes_of({"base": [0.4, 0.4, 0.4], "ours": [0.5, 0.5, 0.5]})
    assert all(
        cell.delta is None for cell in aggregate(results_of(sweep_of(ROWS, baseline=None), outcomes), MIOU).values()
    )
