"""Executor: what a sweep asks of the thing that runs its trials."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from orchestrator.records import AttemptRecord, Point
from trainer.config import Runtime, TrainConfig

__all__ = ["Executor", "Listener", "Task", "Work"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Task:
    """One attempt at one trial, ready to be sent to a worker."""

    trial_id: str
    attempt: int
    config: TrainConfig
    runtime: Runtime
    workdir: Path
    """Folder for checkpoints; must be reachable from every node."""


Work = Callable[[Task, Callable[[Point], None]], AttemptRecord]
"""What a worker does with a task: `orchestrator.worker.run_trial`; tests of executors pass a quicker one."""


class Listener(Protocol):
    """Hears of everything that happens to tasks, in the driver's process and one call at a time."""

    def started(self, task: Task) -> None:
        """A worker took the task."""

    def reported(self, task: Task, point: Point) -> None:
        """A point of the trial's curve arrived."""

    def ended(self, task: Task, record: AttemptRecord) -> None:
        """The attempt is over, well or not. Called exactly once for each started task."""


class Executor(Protocol):
    """Runs tasks. A task that fails, or whose process dies, is a record given to `ended`, never an exception."""

    slots: int
    """Tasks that run at the same time."""

    def run(self, tasks: Sequence[Task], listener: Listener) -> None:
        """Run all tasks, roughly in their order, and return when each has ended. KeyboardInterrupt passes through."""
