"""IdleWork: the work of a trial that only reports. A module of its own, because every trial's process imports it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass

from orchestrator.running.task import Task
from orchestrator.store.attempt_record import AttemptRecord, Point, State

__all__ = ["REPORTS", "IdleWork"]

REPORTS = 5
"""Reports of a trial."""


@dataclass(frozen=True, slots=True)
class IdleWork:
    """Sleeps for `seconds` and reports `reports` times a metric that ends at `reports` / 10.

    An object and not a function in a function, which could only be pickled by value, with a module that imports Ray.
    The record holds the ids of the process and of its parent.
    """

    seconds: float = 0.0
    reports: int = REPORTS

    def __call__(self, task: Task, report: Callable[[Point], None]) -> AttemptRecord:
        """Do the work (`orchestrator.running.task.Work`)."""
        started_at = time.time()
        for step in range(1, self.reports + 1):
            time.sleep(self.seconds / self.reports)
            report(Point(step=step, metrics={"val/miou": step / 10}, time=time.time(), attempt=task.attempt))
        return AttemptRecord(
            trial_id=task.trial_id,
            attempt=task.attempt,
            state=State.DONE,
            started_at=started_at,
            ended_at=time.time(),
            metrics={"final/miou": 0.5},
            environment={"process": str(os.getpid()), "parent": str(os.getppid())},
        )
