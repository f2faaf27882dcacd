"""ExecutorContract: what every executor must do; a test class inherits it and provides the fixture `run`."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.errors import StoreError
from orchestrator.running.executors.base import SweepController
from orchestrator.running.task import Share, StopTrial, Task, Work
from orchestrator.store.attempt_record import AttemptRecord, ErrorRecord, Point, State
from orchestrator.workload.loading import built_in
from orchestrator.workload.runtime import Runtime

__all__ = ["ExecutorContract", "RecordingController", "Run", "dying_work", "make_tasks", "quick_work"]

Run = Callable[[SweepController, Work], None]
"""Makes an executor that does `work` with each task, and runs the tasks of the controller."""


class RecordingController:
    """A controller with a list of tasks, which records every call."""

    def __init__(self, tasks: Sequence[Task] = ()) -> None:
        self.waiting = list(tasks)
        self.running: set[str] = set()
        self.stop_states: dict[str, State] = {}
        self.events: list[tuple[str, str, object]] = []
        self.lock = threading.Lock()  # a controller cannot be pickled

    @property
    def finished(self) -> bool:
        return not self.waiting and not self.running

    def next_task(self, available: Share) -> Task | None:
        if not self.waiting or not self.waiting[0].share.fits(available):
            return None
        self.running.add(self.waiting[0].trial_id)
        return self.waiting.pop(0)

    def stop_state(self, task: Task) -> State | None:
        return self.stop_states.get(task.trial_id)

    def started(self, task: Task) -> None:
        self.events.append(("started", task.trial_id, task.attempt))

    def reported(self, task: Task, point: Point) -> None:
        self.events.append(("reported", task.trial_id, point))

    def ended(self, task: Task, record: AttemptRecord, *, counts: bool = True) -> None:
        self.running.remove(task.trial_id)
        self.events.append(("ended", task.trial_id, record))
        if not counts:
            self.waiting.append(task)

    def returned(self, task: Task) -> None:
        self.running.remove(task.trial_id)
        self.waiting.insert(0, task)

    def events_of(self, trial_id: str) -> list[tuple[str, object]]:
        return [(event, value) for event, key, value in self.events if key == trial_id]

    def records(self) -> dict[str, AttemptRecord]:
        return {key: value for _, key, value in self.events if isinstance(value, AttemptRecord)}


def make_tasks(count: int, folder: Path) -> list[Task]:
    """Tasks `trial0` to `trial<count - 1>`: of trial 2 the seed is 2, and the attempt 3."""
    return [
        Task(
            trial_id=f"trial{index}",
            attempt=index + 1,
            config=built_in().config_type(seed=index),
            runtime=Runtime(),
            workdir=folder / str(index),
        )
        for index in range(count)
    ]


def quick_work() -> Work:
    """Work that reports three points and fails for seed 1; a closure, so that it is pickled by value."""

    def work(task: Task, report: Callable[[Point], None]) -> AttemptRecord:
        started_at = time.time()
        try:
            for step in (1, 2, 3):
                report(Point(step=step, metrics={"train/loss": 1.0 / step}, time=time.time(), attempt=task.attempt))
        except StopTrial as stop:
            now = time.time()
            return AttemptRecord(
                trial_id=task.trial_id, attempt=task.attempt, state=stop.state, started_at=started_at, ended_at=now
            )
        failed = task.config.seed == 1
        return AttemptRecord(
            trial_id=task.trial_id,
            attempt=task.attempt,
            state=State.USER_ERROR if failed else State.DONE,
            started_at=started_at,
            ended_at=time.time(),
            metrics={} if failed else {"final/miou": task.config.seed / 10},
            error=ErrorRecord(kind="ValueError", message="seed 1 is unlucky", traceback="...") if failed else None,
        )

    return work


def dying_work() -> Work:
    """`quick_work`, except that the process is killed for seed 1."""
    quick = quick_work()

    def work(task: Task, report: Callable[[Point], None]) -> AttemptRecord:
        if task.config.seed == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return quick(task, report)

    return work


class ExecutorContract:
    """Inherit it and provide the fixture `run: Run`."""

    def test_each_task_starts_reports_in_order_and_ends_once_with_the_record_of_its_worker(
        self, run: Run, tmp_path: Path
    ) -> None:
        """A failed trial is a record as others are, and the others run."""
        controller = RecordingController(make_tasks(5, tmp_path))
        run(controller, quick_work())
        for index in range(5):
            events = controller.events_of(f"trial{index}")
            assert [event for event, _ in events] == ["started", "reported", "reported", "reported", "ended"]
            assert events[0][1] == index + 1
            points = [value for event, value in events if isinstance(value, Point)]
            assert [point.step for point in points] == [1, 2, 3]
            assert points[1].metrics == {"train/loss": 0.5}
            assert points[1].attempt == index + 1
        records = controller.records()
        failed = records.pop("trial1")
        assert failed.state is State.USER_ERROR
        assert failed.error is not None
        assert (failed.error.kind, failed.error.message) == ("ValueError", "seed 1 is unlucky")
        assert {record.state for record in records.values()} == {State.DONE}
        assert records["trial2"].metrics == {"final/miou": 0.2}
        assert records["trial2"].attempt == 3
        assert records["trial2"].ended_at >= records["trial2"].started_at

    def test_work_that_raises_is_a_lost_task_and_the_others_run(self, run: Run, tmp_path: Path) -> None:
        quick = quick_work()

        def work(task: Task, report: Callable[[Point], None]) -> AttemptRecord:
            if task.config.seed == 0:
                raise RuntimeError("not even a record")
            return quick(task, report)

        controller = RecordingController(make_tasks(3, tmp_path))
        run(controller, work)
        states = {key: record.state for key, record in controller.records().items()}
        assert states == {"trial0": State.LOST, "trial1": State.USER_ERROR, "trial2": State.DONE}
        assert [event for event, _ in controller.events_of("trial0")] == ["started", "ended"]

    def test_what_the_controller_raises_ends_the_run(self, run: Run, tmp_path: Path) -> None:
        class FullDisk(RecordingController):
            def reported(self, task: Task, point: Point) -> None:
                raise StoreError("no space left")

        controller = FullDisk(make_tasks(2, tmp_path))
        with pytest.raises(StoreError, match="no space left"):
            run(controller, quick_work())
        assert not controller.records(), "the trial has not failed"

    def test_without_tasks_nothing_happens(self, run: Run) -> None:
        controller = RecordingController()
        run(controller, quick_work())
        assert controller.events == []

    def test_the_end_of_a_task_may_lead_to_another(self, run: Run, tmp_path: Path) -> None:
        retry = replace(make_tasks(2, tmp_path)[1], attempt=9)

        class Retrying(RecordingController):
            def ended(self, task: Task, record: AttemptRecord, *, counts: bool = True) -> None:
                super().ended(task, record, counts=counts)
                if record.state is State.USER_ERROR and task.attempt != retry.attempt:
                    self.waiting.append(retry)

        controller = Retrying(make_tasks(2, tmp_path))
        run(controller, quick_work())
        assert [value for event, value in controller.events_of("trial1") if event == "started"] == [2, 9]

    def test_a_task_stops_at_its_next_report_when_the_controller_says_so(self, run: Run, tmp_path: Path) -> None:
        controller = RecordingController(make_tasks(2, tmp_path))
        controller.stop_states["trial0"] = State.STOPPED
        run(controller, quick_work())
        assert [event for event, _ in controller.events_of("trial0")] == ["started", "reported", "ended"]
        assert {key: record.state for key, record in controller.records().items()} == {
            "trial0": State.STOPPED,
            "trial1": State.USER_ERROR,
        }
