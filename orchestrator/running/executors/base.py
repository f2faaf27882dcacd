"""Executor: what a sweep asks of the thing that runs its trials."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from orchestrator.store.records import AttemptRecord, Point, State
from trainer.config import Runtime, TrainConfig

__all__ = [
    "Director",
    "Executor",
    "ExecutorLostError",
    "Judge",
    "Listener",
    "Share",
    "StopTrial",
    "Task",
    "TaskSource",
    "Work",
]


@dataclass(frozen=True, kw_only=True, slots=True)
class Share:
    """What one trial takes of a machine, or what a cluster has."""

    cpus: float = 1.0
    gpus: float = 0.0

    def fits(self, room: Share) -> bool:
        """Whether this fits into `room`, up to rounding."""
        return self.cpus <= room.cpus + 1e-6 and self.gpus <= room.gpus + 1e-6

    def __add__(self, other: Share) -> Share:
        return Share(cpus=self.cpus + other.cpus, gpus=self.gpus + other.gpus)

    def __sub__(self, other: Share) -> Share:
        return Share(cpus=self.cpus - other.cpus, gpus=self.gpus - other.gpus)


@dataclass(frozen=True, kw_only=True, slots=True)
class Task:
    """One attempt at one trial, ready to be sent to a worker."""

    trial_id: str
    attempt: int
    config: TrainConfig
    runtime: Runtime
    workdir: Path
    """Folder for checkpoints; must be reachable from every node."""
    share: Share = Share()
    avoid: tuple[str, ...] = ()
    """Ids of nodes that lost an earlier attempt; kept free of this one while others are alive."""
    run_dir: str = ""
    """The record store, where checkpoints of an object store are fetched from; empty: nothing to fetch."""
    probe: bool = False
    """Not the trial itself but a few steps of it, to see what it needs: `probe/...` metrics, nothing kept."""


class StopTrial(BaseException):
    """Raised by a worker's `report` to end the attempt with `state`; no Exception, so that no trial swallows it."""

    def __init__(self, state: State) -> None:
        super().__init__(state.value)
        self.state = state


class ExecutorLostError(Exception):
    """What runs the tasks is gone. All that had started have ended as lost; the message says what to do."""


Work = Callable[[Task, Callable[[Point], None]], AttemptRecord]
"""What a worker does with a task: `orchestrator.running.worker.run_trial`; tests of executors pass a quicker one."""


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
