"""Serial: runs one task after the other in this process, so that a debugger works."""

from __future__ import annotations

import os
import time

from orchestrator.running.classify import spoils_process
from orchestrator.running.executors.base import ExecutorLostError, SweepController
from orchestrator.running.executors.losses import lost_record
from orchestrator.running.task import Share, StopTrial, Task, Work
from orchestrator.running.worker import run_trial
from orchestrator.store.attempt_record import AttemptRecord, Point, State

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
            record = self.record_of(controller, task)
            controller.ended(task, record)
            if spoils_process(record.error):
                raise ExecutorLostError("this process cannot use the GPU any more; the same command resumes the sweep")

    def record_of(self, controller: SweepController, task: Task) -> AttemptRecord:
        """Do the work. What it raises makes the attempt a lost one, but what the controller raises passes through."""
        started_at = time.time()
        of_controller: list[Exception] = []

        def report(point: Point) -> None:
            try:
                controller.reported(task, point)
                state = controller.stop_state(task)
            except Exception as error:  # the trial must not take it for its own
                of_controller.append(error)
                raise StopTrial(State.LOST) from error
            if state is not None:
                raise StopTrial(state)

        try:
            record = self.work(task, report)
        except (Exception, StopTrial) as failure:
            record = lost_record(task, started_at, repr(failure))
        if of_controller:
            raise of_controller[0]
        return record
