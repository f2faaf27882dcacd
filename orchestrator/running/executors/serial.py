"""Serial: one task after the other in this process, so that a debugger works."""

from __future__ import annotations

import os
import time

from orchestrator.running.executors.base import Director
from orchestrator.running.task import Share, StopTrial, Task, Work
from orchestrator.running.worker import run_trial
from orchestrator.store.records import Point

__all__ = ["Serial"]

WAIT_SECONDS = 0.05


class Serial:
    """The in-process twin of the Ray executor."""

    def __init__(self, work: Work = run_trial, gpus: float = 0.0) -> None:
        self.work = work
        self.capacity = Share(cpus=float(os.cpu_count() or 1), gpus=gpus)

    def run(self, director: Director) -> None:
        """Run the tasks in order; while none may start, wait."""
        while not director.finished:
            task = director.next_task(self.capacity)
            if task is None:
                time.sleep(WAIT_SECONDS)
                continue
            director.started(task)
            director.ended(task, self.work(task, Reporter(director, task)))


class Reporter:
    """Hands the points of a task on, and ends the task when the director says so."""

    def __init__(self, director: Director, task: Task) -> None:
        self.director, self.task = director, task

    def __call__(self, point: Point) -> None:
        """Hand on. Raises StopTrial."""
        self.director.reported(self.task, point)
        state = self.director.verdict(self.task)
        if state is not None:
            raise StopTrial(state)
