"""The table and the page of a running sweep: early, and not too often."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from orchestrator.running.task import Task
from orchestrator.store.attempt_record import AttemptRecord, Point
from orchestrator.store.running_sweep import RunningSweep
from orchestrator.store.sweep_record import SweepRecord
from orchestrator.store.sweep_results import SweepResults
from orchestrator.tracking import recent_points
from orchestrator.tracking.live_table import LONGEST_PAUSE, TableTracker
from orchestrator.tracking.recent_points import POINTS, RecentPoints

MakeTask = Callable[..., Task]
MakeRecord = Callable[..., AttemptRecord]


class Written:
    """What was to be written, and when."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.now = 0.0
        self.seconds = seconds
        """How long writing takes."""
        self.tables: list[tuple[str, set[str]]] = []
        self.pages: list[float] = []
        """Times at which the page alone was written."""
        self.running: RunningSweep

    def __call__(self, results: SweepResults, running: RunningSweep, page_only: bool) -> Mapping[str, Path]:
        self.running = running
        if page_only:
            self.pages.append(self.now)
        else:
            self.tables.append((results.sweep.name, set(results.outcomes)))
        self.now += self.seconds
        return {}


def test_the_first_end_is_written_at_once_and_the_next_after_a_pause(
    sweep: SweepRecord, make_task: MakeTask, make_record: MakeRecord
) -> None:
    written = Written()
    tracker = TableTracker(written, pause_seconds=5.0, clock=lambda: written.now)
    tracker.begin(sweep, {"base0": make_record("base0")})
    for second, trial_id in ((1.0, "full0"), (3.0, "base1"), (6.0, "full1")):
        written.now = second
        tracker.started(make_task(trial_id))
        tracker.ended(make_task(trial_id), make_record(trial_id))
    tracker.finish({}, {}, completed=True)
    everything = {"base0", "full0", "base1", "full1"}
    assert written.tables == [("tiny", {"base0", "full0"}), ("tiny", everything)]
    assert written.pages == []


def test_reports_write_the_page_now_and_then_and_the_tables_only_if_a_trial_has_ended(
    sweep: SweepRecord, make_task: MakeTask, make_record: MakeRecord
) -> None:
    written = Written()
    tracker = TableTracker(written, pause_seconds=5.0, clock=lambda: written.now)
    tracker.begin(sweep, {})
    tracker.started(make_task("base0"))

    def report(*seconds: float) -> None:
        for written.now in seconds:
            tracker.reported(make_task("base0"), Point(step=int(written.now), metrics={"train/loss": 2.0}))

    report(1.0, 2.0, 10.0, 11.0, 12.0)
    assert written.tables == [("tiny", set())], "with the first report, when training has begun"
    assert written.pages == [11.0], "ten seconds later"
    for written.now, trial_id in ((13.0, "full0"), (14.0, "base1")):
        tracker.ended(make_task(trial_id), make_record(trial_id))
    report(15.0)
    assert len(written.tables) == 1, "in the pause"
    report(16.5)
    assert written.tables[1:] == [("tiny", {"full0", "base1"})], "with the first report after it"
    report(20.0, 27.0)
    assert written.pages == [11.0, 27.0]
    (trial,) = written.running.trials
    assert (trial.label, trial.step, trial.metrics) == ("without, seed 0", 27, {"train/loss": 2.0})


def test_tables_that_take_long_are_written_rarely(
    sweep: SweepRecord, make_task: MakeTask, make_record: MakeRecord
) -> None:
    written = Written(seconds=2.0)
    tracker = TableTracker(written, pause_seconds=5.0, clock=lambda: written.now)
    tracker.begin(sweep, {})
    for second in range(200):
        written.now = max(written.now, float(second))
        tracker.ended(make_task("base0"), make_record("base0"))
    assert len(written.tables) == 3, "the first also imports; then two seconds of writing and a hundred of pause"


def test_curves_are_thinned_and_a_resumed_trial_overwrites(sweep: SweepRecord, make_task: MakeTask) -> None:
    points = RecentPoints(sweep.watched_metric)
    task = make_task("base0", steps=10 * POINTS)
    points.reported(task, Point(step=1, metrics={"train/loss": 9.0}))
    assert points.now().curves["train/loss"] == {}, "a trial that has not started"
    points.started(task, "without, seed 0")
    for step in range(1, 5 * POINTS):
        points.reported(task, Point(step=step, metrics={"train/loss": 1.0 / step, sweep.watched_metric.name: 0.5}))
    points.reported(task, Point(step=1, metrics={"train/loss": 7.0}))
    now = points.now()
    (curve,) = now.curves["train/loss"].values()
    assert [step for step, _ in curve] == list(range(1, 5 * POINTS, 10))
    assert curve[0] == (1, 7.0)
    assert now.trials[0].step == 5 * POINTS - 1
    points.ended(task)
    assert points.now().trials == ()
    assert points.now().curves == now.curves


def test_of_very_many_trials_no_further_curves_are_kept(
    sweep: SweepRecord, make_task: MakeTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    points = RecentPoints(sweep.watched_metric)
    for trial_id in ("base0", "full0"):
        points.started(make_task(trial_id), trial_id)
    monkeypatch.setattr(recent_points, "MOST_TRIALS", 1)
    for trial_id in ("base0", "full0", "base0"):
        points.reported(make_task(trial_id), Point(step=1, metrics={"train/loss": 1.0}))
    assert list(points.now().curves["train/loss"]) == ["base0"]
    assert len(points.now().trials) == 2


def test_no_pause_is_so_long_that_the_page_looks_abandoned(
    sweep: SweepRecord, make_task: MakeTask, make_record: MakeRecord
) -> None:
    written = Written(seconds=60.0)
    tracker = TableTracker(written, pause_seconds=5.0, clock=lambda: written.now)
    tracker.begin(sweep, {})
    for _ in range(3):
        tracker.ended(make_task("base0"), make_record("base0"))
        written.now += LONGEST_PAUSE
    assert len(written.tables) == 3
