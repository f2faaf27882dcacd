"""How a sweep stands, from its records alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.commands.status import FRESH_SECONDS, SweepStatus, read_status
from orchestrator.commands.status_text import NextCommands, status_as_text
from orchestrator.machine.text_table import plain
from orchestrator.store.attempt_record import AttemptRecord, ErrorRecord, Point, State
from orchestrator.store.record_store import RecordStore
from orchestrator.store.sweep_record import SweepRecord

MakeRecord = Callable[..., AttemptRecord]
NOW = 10_000.0
COMMANDS = NextCommands(
    sweep="python -m orchestrator.sweep tiny.yaml",
    reports="python -m reports tiny.yaml",
    ui="python -m orchestrator ui tiny.yaml",
)


def shown(status: SweepStatus, *, every: bool = False) -> list[str]:
    """The lines of a status when piped."""
    return plain(status_as_text(status, COMMANDS, every=every))


@pytest.fixture
def store(tmp_path: Path, sweep: SweepRecord) -> RecordStore:
    store = RecordStore(tmp_path / "runs")
    store.write_sweep(sweep)
    return store


def begin(store: RecordStore, trial_id: str, attempt: int, *points: Point) -> None:
    """An attempt that has reported."""
    store.start(trial_id, attempt, {}, time=NOW - 100)
    for point in points:
        store.append(trial_id, replace(point, attempt=attempt))


def test_every_trial_is_done_running_failed_or_missing(
    store: RecordStore, sweep: SweepRecord, make_record: MakeRecord
) -> None:
    begin(store, "base0", 1)
    store.end(make_record("base0"))
    begin(store, "full0", 1)
    store.end(make_record("full0", state=State.USER_ERROR))
    begin(store, "base1", 1, Point(step=10, metrics={"val/miou": 0.25}, time=NOW - 30))
    status = read_status(store, sweep.name, NOW)
    assert status.count(State.DONE) == 1
    assert [group.trial_ids for group in status.failures] == [("full0",)]
    assert status.not_run == ("full1",)
    (running,) = status.running
    assert (running.trial_id, running.attempt, running.step, running.watched) == ("base1", 1, 10, 0.25)
    assert running.silent_seconds == 30


def test_a_failed_trial_that_runs_again_is_running(
    store: RecordStore, sweep: SweepRecord, make_record: MakeRecord
) -> None:
    begin(store, "full0", 1)
    store.end(make_record("full0", state=State.LOST))
    begin(store, "full0", 2, Point(step=60, metrics={}, time=NOW - 5))
    status = read_status(store, sweep.name, NOW)
    assert [(trial.trial_id, trial.attempt, trial.step) for trial in status.running] == [("full0", 2, 60)]
    assert (status.failures, status.count(State.LOST)) == ((), 0)


def test_a_trial_that_fell_silent_long_ago_does_not_run(store: RecordStore, sweep: SweepRecord) -> None:
    begin(store, "full0", 1)
    assert read_status(store, sweep.name, NOW).running
    late = read_status(store, sweep.name, NOW + FRESH_SECONDS)
    assert late.running == ()
    assert "full0" in late.not_run


def test_failures_are_grouped_by_their_place_the_largest_group_first(
    store: RecordStore, sweep: SweepRecord, make_record: MakeRecord
) -> None:
    for trial_id, signature in (("base0", "aaaaaaaa"), ("full0", "bbbbbbbb"), ("full1", "bbbbbbbb")):
        begin(store, trial_id, 1)
        error = ErrorRecord(kind="ValueError", message=trial_id, traceback=f"Trace of {trial_id}", signature=signature)
        store.end(replace(make_record(trial_id, state=State.USER_ERROR), error=error))
    status = read_status(store, sweep.name, NOW)
    assert [group.trial_ids for group in status.failures] == [("full0", "full1"), ("base0",)]
    lines = shown(status, every=True)
    assert lines[0] == "tiny: 4 trials: 0 done, 0 running, 3 failed, 1 not run"
    assert "user error, 2 trials, signature bbbbbbbb:" in lines
    assert "user error, 1 trial, signature aaaaaaaa:" in lines
    assert "  | Trace of full0" in lines
    assert "  | Trace of full1" not in lines, "one traceback stands for its group"
    assert "  debug it: python -m orchestrator.sweep tiny.yaml --trial full0 --debug" in lines
    assert lines[lines.index("not run:") + 1] == "  without, seed 1 [base1]"
    in_short = shown(status)
    assert "user error, 2 trials: ValueError: full0" in in_short, "of the first trial"
    assert not any("Trace" in line for line in in_short)
    assert in_short[-2:] == [
        "next: run the 4 trials without a result: python -m orchestrator.sweep tiny.yaml",
        "--all shows every row, traceback and trial id",
    ]


def test_a_stopped_trial_is_no_failure_and_runs_again_in_an_ablation(
    store: RecordStore, sweep: SweepRecord, make_record: MakeRecord
) -> None:
    begin(store, "full0", 1)
    store.end(replace(make_record("full0", state=State.STOPPED), error=None))
    status = read_status(store, sweep.name, NOW)
    lines = shown(status, every=True)
    assert lines[0] == "tiny: 4 trials: 0 done, 0 running, 0 failed, 1 stopped, 3 not run"
    again = lines.index("to run again:")
    assert lines[again + 1] == "  with | pipe, seed 0 [full0]: stopped", "an ablation needs complete trials"
