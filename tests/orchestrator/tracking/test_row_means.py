"""The means that a terminal shows while a sweep runs, against those of the tables."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable
from dataclasses import replace

import pytest

from orchestrator.store.attempt_record import AttemptRecord, State
from orchestrator.store.sweep_record import PlannedRun, Row, SweepRecord, TableRecord
from orchestrator.store.sweep_results import SweepResults
from orchestrator.tracking.row_means import RowMeans, shown_metric
from reports.tables.aggregate import aggregate
from reports.tables.table import table_columns

MakeRecord = Callable[..., AttemptRecord]


def test_means_are_those_of_the_table(sweep: SweepRecord, make_record: MakeRecord) -> None:
    outcomes = {
        "base0": make_record("base0", final__miou=0.31),
        "base1": make_record("base1", final__miou=0.35),
        "full0": make_record("full0", final__miou=0.41),
        "full1": make_record("full1", state=State.LOST, final__miou=0.99),
    }
    means = RowMeans(sweep, {})
    for record in outcomes.values():
        means.ended(record)
    cells = aggregate(SweepResults(sweep=sweep, outcomes=outcomes), "final/miou")
    for row in means.rows():
        assert row.mean == pytest.approx(cells[row.title].mean)
        assert row.std == cells[row.title].std
        assert row.seeds == f"{cells[row.title].n}/{cells[row.title].expected}"
    without, with_memory = means.rows()
    assert without.text(means.metric) == f"33.00 ± {100 * statistics.stdev([0.31, 0.35]):.2f}", "in per cent"
    assert with_memory.text(means.metric) == "41.00", "one seed has no spread"
    assert (without.is_best, with_memory.is_best) == (False, True)
    assert [row.title for row in means.best_first()] == ["with | pipe", "without"]


def test_a_row_without_a_finite_value_has_none(sweep: SweepRecord, make_record: MakeRecord) -> None:
    means = RowMeans(sweep, {"base0": make_record("base0", final__miou=math.nan)})
    assert [(row.seeds, row.text(means.metric), row.is_best) for row in means.rows()] == [("0/2", "–", False)] * 2


def test_less_is_better_where_the_goal_says_so(sweep: SweepRecord, make_record: MakeRecord) -> None:
    outcomes = {"base0": make_record("base0", final__miou=0.3), "full0": make_record("full0", final__miou=0.4)}
    best = [row.title for row in RowMeans(replace(sweep, goal="minimize"), outcomes).rows() if row.is_best]
    assert best == ["without"]


def test_each_data_set_has_a_best_row(sweep: SweepRecord, make_record: MakeRecord) -> None:
    cells = tuple(
        PlannedRun(row=row.label, seed=0, trial_id=f"{row.label}@{data}", data=data)
        for row in sweep.rows
        for data in ("CamVid", "own")
    )
    values = {"without@CamVid": 0.5, "with | pipe@CamVid": 0.4, "without@own": 0.6, "with | pipe@own": 0.7}
    outcomes = {key: make_record(key, final__miou=value) for key, value in values.items()}
    found = {row.title for row in RowMeans(replace(sweep, cells=cells), outcomes).rows() if row.is_best}
    assert found == {"without on CamVid", "with | pipe on own"}


def test_a_row_is_complete_with_its_last_seed(sweep: SweepRecord, make_record: MakeRecord) -> None:
    means = RowMeans(sweep, {})
    means.ended(make_record("base0", final__miou=0.3))
    assert means.completed_by("base0") == []
    means.ended(make_record("base1", final__miou=0.4))
    assert [row.title for row in means.completed_by("base1")] == ["without"]


def test_a_plan_that_grows_has_further_rows(sweep: SweepRecord, make_record: MakeRecord) -> None:
    means = RowMeans(sweep, {})
    assert len(means.rows()) == 2
    run = PlannedRun(row="third", seed=0, trial_id="third0")
    means.planned(replace(sweep, rows=(*sweep.rows, Row(label="third", factors={})), cells=(*sweep.cells, run)))
    means.ended(make_record("third0", final__miou=0.2))
    assert means.rows()[-1].seeds == "1/1"


@pytest.mark.parametrize("split", ["test", "val"])
@pytest.mark.parametrize("precision", [{}, {"final/miou": 1}])
def test_the_metric_is_shown_as_in_the_table(sweep: SweepRecord, split: str, precision: dict[str, int]) -> None:
    sweep = replace(sweep, table=TableRecord(columns=("final/miou",), split=split, precision=precision))
    (column,) = table_columns(sweep)
    metric = shown_metric(sweep)
    assert metric.name == column.key
    assert metric.digits(0.63254) == column.text(0.63254)
