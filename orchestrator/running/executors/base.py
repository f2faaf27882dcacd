"""Executor: runs the tasks of a sweep; SweepController: what an executor works for."""

from __future__ import annotations

from typing import Protocol

from orchestrator.running.task import Share, Task
from orchestrator.store.attempt_record import AttemptRecord, Point, State

__all__ = ["Executor", "ExecutorLostError", "SweepController"]


class ExecutorLostError(Exception):
    """The executor can run nothing any more; the message is one line that says why.

    Every started task has ended, and the others have been returned.
    """


class SweepController(Protocol):
    """Decides what runs and when it stops, and records what happens. Called from one thread; `Driver` implements it."""

    @property
    def finished(self) -> bool:
        """Nothing is left: no task waits, and none that runs can lead to another."""

    def next_task(self, available: Share) -> Task | None:
        """The next task that fits into `available`; None when nothing can start now.

        Ask as late as possible: the next task may depend on those that ended before.
        """

    def started(self, task: Task) -> None:
        """A worker has started the task."""

    def reported(self, task: Task, point: Point) -> None:
        """A point of the trial's curves has arrived."""

    def ended(self, task: Task, record: AttemptRecord, *, counts: bool = True) -> None:
        """The attempt is over, successful or not. Called exactly once for each started task.

        `counts`: whether a failure uses up one of the trial's retries; it does not where the executor failed.
        """

    def returned(self, task: Task) -> None:
        """The executor has failed before the task started; the task waits again."""

    def stop_state(self, task: Task) -> State | None:
        """The state with which to stop a running task; None to let it run.

        Executors ask after every report and about once a second.
        """


class Executor(Protocol):
    """Runs tasks. A task that fails, or whose process dies, is a record passed to `ended`, never an exception.

    What the controller raises passes through.
    """

    @property
    def capacity(self) -> Share:
        """Resources that exist at the moment, whether in use or not."""

    def run(self, controller: SweepController) -> None:
        """Run tasks until the controller is finished. KeyboardInterrupt passes through.

        Raises ExecutorLostError when nothing can be run any more.
        """
