"""ExecutorContract: what every executor must do; inherit it and give the fixture `run`."""

import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from orchestrator.execution.base import Listener, Task, Work
from orchestrator.records import AttemptRecord, ErrorRecord, Point, State
from trainer.config import Runtime, TrainConfig

Run = Callable[[Sequence[Task], Listener, Work], None]


class Notebook:
    """A listener that writes everything down."""

    def __init__(self) -> None:
        self.events: list[tuple[str, str, object]] = []
        self.lock = threading.Lock()  # listeners hold what cannot be pickled

    def started(self, task: Task) -> None:
        self.events.append(("started", task.trial_id, task.attempt))

    def reported(self, task: Task, point: Point) -> None:
        self.events.append(("reported", task.trial_id, point))

    def ended(self, task: Task, record: AttemptRecord) -> None:
        self.events.append(("ended", task.trial_id, record))

    def of(self, trial_id: str) -> list[tuple[str, object]]:
        return [(event, value) for event, key, value in self.events if key == trial_id]

    def records(self) -> dict[str, AttemptRecord]:
        return {key: value for event, key, value in self.events if isinstance(value, AttemptRecord)}


def make_tasks(count: int, folder: Path) -> list[Task]:
    return [
        Task(
            trial_id=f"trial{index}",
            attempt=index + 1,
            config=TrainConfig(seed=index),
            runtime=Runtime(),
            workdir=folder / str(index),
        )
        for index in range(count)
    ]


def quick_work() -> Work:
    """Work that reports three points and fails for seed 1; a closure, so that it travels by value."""

    def work(task: Task, report: Callable[[Point], None]) -> AttemptRecord:
        started_at = time.time()
        for step in (1, 2, 3):
            report(Point(step=step, metrics={"train/loss": 1.0 / step}, time=time.time(), attempt=task.attempt))
        failed = task.config.seed == 1
        return AttemptRecord(
            trial_id=task.trial_id,
            attempt=task.attempt,
            state=State.FAILED if failed else State.DONE,
            started_at=started_at,
            ended_at=time.time(),
            metrics={} if failed else {"final/miou": task.config.seed / 10},
            error=ErrorRecord(kind="ValueError", message="seed 1 is unlucky", traceback="...") if failed else None,
        )

    return work


def dying_work() -> Work:
    """Work whose process is killed for seed 1."""
    quick = quick_work()

    def work(task: Task, report: Callable[[Point], None]) -> AttemptRecord:
        if task.config.seed == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return quick(task, report)

    return work


class ExecutorContract:
    """Inherit and provide the fixture `run: Run`."""

    def test_each_task_starts_reports_in_order_and_ends_once(self, run: Run, tmp_path: Path) -> None:
        notebook = Notebook()
        run(make_tasks(5, tmp_path), notebook, quick_work())
        for index in range(5):
            events = notebook.of(f"trial{index}")
            assert [event for event, _ in events] == ["started", "reported", "reported", "reported", "ended"]
            assert events[0][1] == index + 1
            points = [value for event, value in events if isinstance(value, Point)]
            assert [point.step for point in points] == [1, 2, 3]
            assert points[1].metrics == {"train/loss": 0.5}
            assert points[1].attempt == index + 1

    def test_the_record_arrives_as_the_worker_made_it(self, run: Run, tmp_path: Path) -> None:
        notebook = Notebook()
        run(make_tasks(3, tmp_path), notebook, quick_work())
        records = notebook.records()
        assert records["trial2"].metrics == {"final/miou": 0.2}
        assert records["trial2"].attempt == 3
        assert records["trial2"].ended_at >= records["trial2"].started_at

    def test_a_failed_trial_is_a_record_and_the_others_go_on(self, run: Run, tmp_path: Path) -> None:
        notebook = Notebook()
        run(make_tasks(4, tmp_path), notebook, quick_work())
        states = {key: record.state for key, record in notebook.records().items()}
        assert states == {
            "trial0": State.DONE,
            "trial1": State.FAILED,
            "trial2": State.DONE,
            "trial3": State.DONE,
        }
        error = notebook.records()["trial1"].error
        assert error is not None
        assert (error.kind, error.message) == ("ValueError", "seed 1 is unlucky")

    def test_nothing_to_run_is_fine(self, run: Run) -> None:
        notebook = Notebook()
        run([], notebook, quick_work())
        assert notebook.events == []
