"""The driver: runs what is left, keeps before it tells, and never opens an executor for nothing."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from orchestrator.driver import Driver, left_to_run
from orchestrator.execution.base import Listener, Task
from orchestrator.plan import SweepPlan, Trial
from orchestrator.records import AttemptRecord, Point, State, SweepRecord, read_outcomes, read_points
from orchestrator.store import RecordStore
from trainer.config import Runtime, TrainConfig

MakeRecord = Callable[..., AttemptRecord]


class Scripted:
    """An executor that plays two points and a record for each task, until it is told to break off."""

    slots = 1

    def __init__(self, make_record: MakeRecord, break_off_after: int | None = None) -> None:
        self.make_record = make_record
        self.break_off_after = break_off_after
        self.tasks: list[Task] = []

    def run(self, tasks: Sequence[Task], listener: Listener) -> None:
        for task in tasks:
            if len(self.tasks) == self.break_off_after:
                raise KeyboardInterrupt
            self.tasks.append(task)
            listener.started(task)
            for step in (1, 2):
                listener.reported(task, Point(step=step, metrics={"train/loss": 1 / step}, attempt=task.attempt))
            listener.ended(task, self.make_record(task.trial_id, attempt=task.attempt, final__miou=0.5))


class Witness:
    """A tracker that looks into the store the moment it is told of an end."""

    def __init__(self, store: RecordStore) -> None:
        self.store = store
        self.heard: list[str] = []
        self.kept_before_told: list[bool] = []

    def begin(self, sweep: SweepRecord, outcomes: object) -> None:
        self.heard.append("begin")

    def started(self, task: Task) -> None:
        self.heard.append("started")

    def reported(self, task: Task, point: Point) -> None:
        self.heard.append("reported")

    def ended(self, task: Task, record: AttemptRecord) -> None:
        self.heard.append("ended")
        kept = read_outcomes(self.store.run_dir, [task.trial_id])
        self.kept_before_told.append(kept == {task.trial_id: record})

    def finish(self, outcomes: object, artifacts: object, completed: bool) -> None:
        self.heard.append("finish")


@pytest.fixture
def plan(sweep: SweepRecord) -> SweepPlan:
    ids = dict.fromkeys(cell.trial_id for cell in sweep.cells)
    return SweepPlan(record=sweep, trials=tuple(Trial(trial_id=key, config=TrainConfig()) for key in ids))


@pytest.fixture
def store(tmp_path: Path) -> RecordStore:
    return RecordStore(tmp_path / "runs")


def test_everything_is_kept_before_anybody_hears_of_it(
    plan: SweepPlan, store: RecordStore, make_record: MakeRecord
) -> None:
    witness = Witness(store)
    outcomes = Driver(store, [witness]).run(plan, {}, Runtime(), lambda: Scripted(make_record))
    assert set(outcomes) == {trial.trial_id for trial in plan.trials}
    assert witness.kept_before_told == [True] * 4
    assert witness.heard[:5] == ["begin", "started", "reported", "reported", "ended"]
    assert [point.step for point in read_points(store.run_dir, "base0")] == [0, 1, 2]


def test_only_what_is_left_runs_and_nothing_opens_an_executor_for_nothing(
    plan: SweepPlan, store: RecordStore, make_record: MakeRecord
) -> None:
    known = {"base0": make_record("base0"), "full0": make_record("full0", state=State.FAILED)}
    assert [trial.trial_id for trial in left_to_run(plan, known)] == ["full0", "base1", "full1"]
    scripted = Scripted(make_record)
    driver = Driver(store, [])
    outcomes = driver.run(plan, known, Runtime(), lambda: scripted)
    assert [task.trial_id for task in scripted.tasks] == ["full0", "base1", "full1"]

    def refuse() -> Scripted:
        raise AssertionError("there is nothing to run")

    assert driver.run(plan, outcomes, Runtime(), refuse) == outcomes


def test_an_interrupt_passes_through_and_keeps_what_ended(
    plan: SweepPlan, store: RecordStore, make_record: MakeRecord
) -> None:
    driver = Driver(store, [])
    with pytest.raises(KeyboardInterrupt):
        driver.run(plan, {}, Runtime(), lambda: Scripted(make_record, break_off_after=2))
    ids = [trial.trial_id for trial in plan.trials]
    assert set(read_outcomes(store.run_dir, ids)) == set(ids[:2])
    assert set(driver.outcomes) == set(ids[:2])


def test_a_failed_trial_is_tried_again_with_the_next_number(
    plan: SweepPlan, store: RecordStore, make_record: MakeRecord
) -> None:
    store.start("base0", 1, {}, time=1.0)
    store.end(make_record("base0", state=State.FAILED, attempt=1))
    scripted = Scripted(make_record)
    Driver(store, []).run(plan, store.outcomes(["base0"]), Runtime(), lambda: scripted)
    assert [task.attempt for task in scripted.tasks] == [2, 1, 1, 1]
