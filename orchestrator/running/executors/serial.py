"""Serial: runs one task after the other in this process, so that a debugger works."""

from __future__ import annotations

import os
import time
from functools import partial

from orchestrator.running.classify import spoils_process
from orchestrator.running.executors.base import ExecutorLostError, SweepController
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
        """Run the tasks in order; wait while none can start. Raises ExecutorLostError after an error that ends CUDA."""
        while not controller.finished:
            task = controller.next_task(self.capacity)
            if task is None:
                time.sleep(WAIT_SECONDS)
                continue
            controller.started(task)
            record = self.work(task, partial(report, controller, task))
            controller.ended(task, record)
            if spoils_process(record.error):
                raise ExecutorLostError("this process cannot use the GPU any more; the same command resumes the sweep")


def report(controller: SweepController, task: Task, point: Point) -> None:
    """Pass a point to the controller. Raises StopTrial when the controller wants the task to stop."""
    controller.reported(task, point)
    state = controller.stop_state(task)
    if state is not None:
        raise StopTrial(state)
