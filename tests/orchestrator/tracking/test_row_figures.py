"""Means of rows and differences to the baseline, as MLflow gets them."""

import math
from collections.abc import Callable
from dataclasses import replace

import pytest
from mlflow.utils.validation import _validate_metric_name

from orchestrator.store.attempt_record import AttemptRecord, State
from orchestrator.store.sweep_record import PlannedRun, Row, SweepRecord, TableRecord
from orchestrator.store.sweep_results import SweepResults
from orchestrator.tracking.row_figures import Baseline, difference_name, readable, row_means

MakeRecord = Callable[..., AttemptRecord]


@pytest.fixture
def outcomes(make_record: MakeRecord) -> dict[str, AttemptRecord]:
    figures = {"base0": 0.25, "base1": 0.5, "full0": 0.5, "full1": 0.5}
    return {trial_id: make_record(trial_id, final__miou=figure) for trial_id, figure in figures.items()}


def test_a_row_has_mean_standard_deviation_and_number_of_seeds(
    sweep: SweepRecord, outcomes: dict[str, AttemptRecord]
) -> None:
    assert row_means(SweepResults(sweep=sweep, outcomes=outcomes)) == {
        "mean/1 without": 0.375,
        "std/1 without": pytest.approx(0.125 * math.sqrt(2)),
        "seeds/1 without": 2.0,
        "mean/2 with pipe": 0.5,
        "std/2 with pipe": 0.0,
        "seeds/2 with pipe": 2.0,
    }


def test_what_is_not_done_does_not_count(
    sweep: SweepRecord, outcomes: dict[str, AttemptRecord], make_record: MakeRecord
) -> None:
    known = {"base0": outcomes["base0"], "full0": make_record("full0", state=State.DIVERGED, final__miou=0.9)}
    assert row_means(SweepResults(sweep=sweep, outcomes=known)) == {"mean/1 without": 0.25, "seeds/1 without": 1.0}
    infinite = {**outcomes, "base0": make_record("base0", final__miou=math.inf)}
    means = row_means(SweepResults(sweep=sweep, outcomes=infinite))
    assert (means["mean/1 without"], means["seeds/1 without"]) == (0.5, 1.0)


def test_a_search_has_its_best_figure_so_far(sweep: SweepRecord, outcomes: dict[str, AttemptRecord]) -> None:
    search = replace(sweep, method="random")
    assert row_means(SweepResults(sweep=search, outcomes=outcomes)) == {"best/final/miou": 0.5}
    smallest = replace(search, goal="minimize")
    assert row_means(SweepResults(sweep=smallest, outcomes=outcomes)) == {"best/final/miou": 0.375}
    assert row_means(SweepResults(sweep=search, outcomes={})) == {}


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("w/o contrast", "without contrast"),
        ("pixel + region memory", "pixel and region memory"),
        ("temperature=0.07, pixels=5000", "temperature 0.07 pixels 5000"),
        ("64×96 / large", "64 96 - large"),
    ],
)
def test_a_row_is_readable_in_the_name_of_a_metric(title: str, name: str) -> None:
    assert readable(title) == name
    _validate_metric_name(f"mean/1 {readable(title)}")


def test_names_sort_in_the_order_of_the_rows(sweep: SweepRecord, make_record: MakeRecord) -> None:
    labels = [f"row {number}" for number in range(12)]
    cells = tuple(PlannedRun(row=label, seed=0, trial_id=label.replace(" ", "")) for label in labels)
    many = replace(sweep, rows=tuple(Row(label=label, factors={}) for label in labels), baseline=None, cells=cells)
    outcomes = {cell.trial_id: make_record(cell.trial_id, final__miou=0.5) for cell in cells}
    means = [key for key in row_means(SweepResults(sweep=many, outcomes=outcomes)) if key.startswith("mean/")]
    assert sorted(means) == means
    assert [name.split(" ", 1)[1] for name in means] == labels


def test_a_difference_is_taken_seed_by_seed(sweep: SweepRecord, outcomes: dict[str, AttemptRecord]) -> None:
    baseline = Baseline(sweep)
    found = {cell.trial_id: baseline.difference(cell, outcomes) for cell in sweep.cells}
    assert found == {"base0": None, "base1": None, "full0": 0.25, "full1": 0.0}
    assert [run.trial_id for run in baseline.compared["base1"]] == ["full1"]
    del outcomes["base0"]
    assert baseline.difference(sweep.cells[1], outcomes) is None
    nothing = Baseline(replace(sweep, baseline=None))
    assert [nothing.difference(cell, outcomes) for cell in sweep.cells] == [None] * 4


def test_a_difference_is_of_the_same_data_set(sweep: SweepRecord, outcomes: dict[str, AttemptRecord]) -> None:
    cells = tuple(replace(cell, data="CamVid" if cell.seed else "own", seed=0) for cell in sweep.cells)
    baseline = Baseline(replace(sweep, cells=cells))
    assert [baseline.difference(cell, outcomes) for cell in cells if cell.row != "without"] == [0.25, 0.0]


def test_figures_are_of_the_split_of_the_table(sweep: SweepRecord, make_record: MakeRecord) -> None:
    on_val = replace(sweep, table=TableRecord(split="val"))
    assert (difference_name(sweep), difference_name(on_val)) == ("difference/miou", "difference/val/miou")
    known = {
        key: make_record(key, final__miou=0.5, val__miou=value) for key, value in (("base0", 0.25), ("full0", 0.5))
    }
    assert Baseline(on_val).difference(sweep.cells[1], known) == 0.25
    assert row_means(SweepResults(sweep=on_val, outcomes=known))["mean/1 without"] == 0.25
