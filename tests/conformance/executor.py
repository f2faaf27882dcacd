"""ExecutorContract: what every executor must do; inherit it and give the fixture `run`."""

import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from orchestrator.running.executors.base import Director
from orchestrator.running.task import Share, StopTrial, Task, Work
from orchestrator.store.records import AttemptRecord, ErrorRecord, Point, State
from trainer.config import Runtime, TrainConfig

Run = Callable[[Director, Work], None]


class Notebook:
    """A director that hands out a list of tasks and writes everything down."""

    def __init__(self, tasks: Sequence[Task] = ()) -> None:
        self.waiting = list(tasks)
        self.alive: set[str] = set()
        self.verdicts: dict[str, State] = {}
        self.events: list[tuple[str, str, object]] = []
        self.lock = threading.Lock()  # directors hold what cannot be pickled

    @property
    def finished(self) -> bool:
        return not self.waiting and not self.alive

    def next_task(self, room: Share) -> Task | None:
        if not self.waiting or not self.waiting[0].share.fits(room):
            return None
        self.alive.add(self.waiting[0].trial_id)
        return self.waiting.pop(0)

    def verdict(self, task: Task) -> State | None:
        return self.verdicts.get(task.trial_id)

    def started(self, task: Task) -> None:
        self.events.append(("started", task.trial_id, task.attempt))

    def reported(self, task: Task, point: Point) -> None:
        self.events.append(("reported", task.trial_id, point))

    def ended(self, task: Task, record: AttemptRecord) -> None:
        self.alive.remove(task.trial_id)
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
        notebook = Notebook(make_tasks(5, tmp_path))
        run(notebook, quick_work())
        for index in range(5):
            events = notebook.of(f"trial{index}")
            assert [event for event, _ in events] == ["started", "reported", "reported", "reported", "ended"]
            assert events[0][1] == index + 1
            points = [value for event, value in events if isinstance(value, Point)]
            assert [point.step for point in points] == [1, 2, 3]
            assert points[1].metrics == {"train/loss": 0.5}
            assert points[1].attempt == index + 1

    def test_the_record_arrives_as_the_worker_made_it(self, run: Run, tmp_path: Path) -> None:
        notebook = Notebook(make_tasks(3, tmp_path))
        run(notebook, quick_work())
        records = notebook.records()
        assert records["trial2"].metrics == {"final/miou": 0.2}
        assert records["trial2"].attempt == 3
        assert records["trial2"].ended_at >= records["trial2"].started_at

    def test_a_failed_trial_is_a_record_and_the_others_go_on(self, run: Run, tmp_path: Path) -> None:
        notebook = Notebook(make_tasks(4, tmp_path))
        run(notebook, quick_work())
        states = {key: record.state for key, record in notebook.records().items()}
        assert states == {
            "trial0": State.DONE,
            "trial1": State.USER_ERROR,
            "trial2": State.DONE,
            "trial3": State.DONE,
        }
        error = notebook.records()["trial1"].error
        assert error is not None
        assert (error.kind, error.message) == ("ValueError", "seed 1 is unlucky")

    def test_nothing_to_run_is_fine(self, run: Run) -> None:
        notebook = Notebook()
        run(notebook, quick_work())
        assert notebook.events == []

    def test_what_comes_may_depend_on_what_ended(self, run: Run, tmp_path: Path) -> None:
        again = replace(make_tasks(2, tmp_path)[1], attempt=9)

        class Persistent(Notebook):
            def ended(self, task: Task, record: AttemptRecord) -> None:
                super().ended(task, record)
                if record.state is State.USER_ERROR and task.attempt != again.attempt:
                    self.waiting.append(again)

        director = Persistent(make_tasks(2, tmp_path))
        run(director, quick_work())
        assert [value for event, value in director.of("trial1") if event == "started"] == [2, 9]

    def test_a_task_ends_at_its_next_report_when_the_director_says_so(self, run: Run, tmp_path: Path) -> None:
        director = Notebook(make_tasks(2, tmp_path))
        director.verdicts["trial0"] = State.STOPPED
        run(director, quick_work())
        assert [event for event, _ in director.of("trial0")] == ["started", "reported", "ended"]
        assert {key: record.state for key, record in director.records().items()} == {
            "trial0": State.STOPPED,
            "trial1": State.USER_ERROR,
        }
