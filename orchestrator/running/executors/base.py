"""Executor: what a sweep asks of the thing that runs its trials."""

from __future__ import annotations

from typing import Protocol

from orchestrator.running.task import Share, Task
from orchestrator.store.records import AttemptRecord, Point, State

__all__ = ["Director", "Executor", "ExecutorLostError", "Judge", "Listener", "TaskSource"]


class ExecutorLostError(Exception):
    """What runs the tasks is gone. All that had started have ended as lost; the message says what to do."""


class TaskSource(Protocol):
    """Where an executor gets its tasks, one at a time and as late as possible: what comes may depend on what ended."""

    def next_task(self, room: Share) -> Task | None:
        """The next task if it fits into `room`; None when nothing is to start now."""

    @property
    def finished(self) -> bool:
        """Nothing is left: no task waits, and none that runs can bring another."""


class Listener(Protocol):
    """Hears of everything that happens to tasks, in the driver's process and one call at a time."""

    def started(self, task: Task) -> None:
        """A worker took the task."""

    def reported(self, task: Task, point: Point) -> None:
        """A point of the trial's curve arrived."""

    def ended(self, task: Task, record: AttemptRecord) -> None:
        """The attempt is over, well or not. Called exactly once for each started task."""


class Judge(Protocol):
    """Says whether a running task is to end early."""

    def verdict(self, task: Task) -> State | None:
        """The state to end it with, or None to let it run; asked after every report and about once a second."""


class Director(TaskSource, Listener, Judge, Protocol):
    """What an executor works for: the driver of a sweep."""


class Executor(Protocol):
    """Runs tasks. A task that fails, or whose process dies, is a record given to `ended`, never an exception."""

    @property
    def capacity(self) -> Share:
        """What can run tasks at the moment."""

    def run(self, director: Director) -> None:
        """Run what the director hands out until it is finished. KeyboardInterrupt passes through.

        Raises ExecutorLostError when nothing can be run any more.
        """
