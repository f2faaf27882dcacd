"""Serial: runs one task after the other in this process, so that a debugger works."""

from __future__ import annotations

import os
import time

from orchestrator.running.executors.base import SweepController
from orchestrator.running.task import Share, StopTrial, Task, Work
from orchestrator.running.worker import run_trial
from orchestrator.store.records import Point

__all__ = ["Serial"]

WAIT_SECONDS = 0.05


class Serial:
    """The in-process executor."""

    def __init__(self, work: Work = run_trial, gpus: float = 0.0) -> None:
        self.work = work
        self.capacity = Share(cpus=float(os.cpu_count() or 1), gpus=gpus)

    def run(self, controller: SweepController) -> None:
        """Run the tasks in order; wait while none can start."""
        while not controller.finished:
            task = controller.next_task(self.capacity)
            if task is None:
                time.sleep(WAIT_SECONDS)
                continue
            controller.started(task)
            controller.ended(task, self.work(task, Reporter(controller, task)))


class Reporter:
    """Passes the points of a task to the controller, and stops the task when the controller says so."""

    def __init__(self, controller: SweepController, task: Task) -> None:
        self.controller, self.task = controller, task

    def __call__(self, point: Point) -> None:
        """Pass on one point. Raises StopTrial."""
        self.controller.reported(self.task, point)
        state = self.controller.stop_state(self.task)
        if state is not None:
            raise StopTrial(state)
