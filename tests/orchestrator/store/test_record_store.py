"""The record store: durable, readable while it is written, whole after a crash."""

from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator.errors import StoreError
from orchestrator.store.attempt_record import AttemptRecord, Point, State
from orchestrator.store.record_store import RecordStore
from orchestrator.store.sweep_record import SweepRecord

MakeRecord = Callable[..., AttemptRecord]


@pytest.fixture
def store(tmp_path: Path) -> RecordStore:
    return RecordStore(tmp_path / "runs")


def test_a_sweep_and_its_records_come_back_as_they_were(
    store: RecordStore, sweep: SweepRecord, make_record: MakeRecord
) -> None:
    store.write_sweep(sweep)
    record = make_record("full0", state=State.USER_ERROR, final__miou=0.5)
    store.start("full0", 1, {"seed": 0, "data": {"name": "camvid"}}, time=99.0)
    store.end(record)
    assert store.sweep("tiny") == sweep
    assert store.attempts("full0") == (record,)
    assert store.trial_facts("full0")["config"] == {"seed": 0, "data": {"name": "camvid"}}


def test_points_come_back_in_order_and_with_their_attempt(store: RecordStore) -> None:
    store.start("a", 1, {}, time=10.0)
    store.append("a", Point(step=5, metrics={"train/loss": 0.1}, time=11.0))
    store.append("a", Point(step=10, metrics={"train/loss": 1e-9}, time=12.0, attempt=2))
    points = list(store.points("a"))
    assert [(point.step, dict(point.metrics), point.attempt) for point in points] == [
        (0, {}, 1),
        (5, {"train/loss": 0.1}, 1),
        (10, {"train/loss": 1e-9}, 2),
    ]


def test_a_line_cut_short_by_a_crash_costs_that_line_only(store: RecordStore) -> None:
    store.start("a", 1, {}, time=10.0)
    store.append("a", Point(step=5, metrics={"train/loss": 0.5}))
    path = store.trial_folder("a") / "points.jsonl"
    path.write_bytes(path.read_bytes()[:-20])
    store.append("a", Point(step=10, metrics={"train/loss": 0.25}))
    assert [point.step for point in store.points("a")] == [0, 10]


def test_done_wins_over_later_attempts_and_the_last_failure_over_earlier_ones(
    store: RecordStore, make_record: MakeRecord
) -> None:
    store.end(make_record("a", state=State.LOST, attempt=1))
    store.end(make_record("a", state=State.DONE, attempt=2, final__miou=0.4))
    store.end(make_record("a", state=State.USER_ERROR, attempt=3))
    store.end(make_record("b", state=State.LOST, attempt=1))
    store.end(make_record("b", state=State.USER_ERROR, attempt=2))
    outcomes = store.outcomes(["a", "b", "never started"])
    assert {key: (record.state, record.attempt) for key, record in outcomes.items()} == {
        "a": (State.DONE, 2),
        "b": (State.USER_ERROR, 2),
    }


def test_an_attempt_whose_driver_died_is_recorded_as_lost_before_the_next(store: RecordStore) -> None:
    assert store.next_attempt("a") == 1
    store.start("a", 1, {}, time=10.0)
    store.append("a", Point(step=5, metrics={}, time=17.0))
    assert store.next_attempt("a") == 2
    (lost,) = store.attempts("a")
    assert (lost.state, lost.attempt, lost.started_at, lost.ended_at) == (State.LOST, 1, 10.0, 17.0)
    assert store.next_attempt("a") == 2, "asking twice changes nothing"


def test_an_unknown_sweep_is_an_error_that_names_the_existing_ones(store: RecordStore, sweep: SweepRecord) -> None:
    store.write_sweep(sweep)
    with pytest.raises(StoreError, match="no sweep 'other'; there are: tiny"):
        store.sweep("other")


def test_a_run_directory_that_cannot_be_written_is_an_error_of_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(StoreError, match="cannot be written"), RecordStore(tmp_path / "file" / "runs").lock():
        pass
