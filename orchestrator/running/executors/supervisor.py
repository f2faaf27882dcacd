"""Supervisor: runs an executor in a child process, and starts another one when it has failed.

The driver's process never connects to Ray. So whatever Ray does to the process that is connected to it, the records
are complete, and the sweep resumes or ends as it should.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import Any

from orchestrator.errors import SweepError
from orchestrator.machine.own_folder import remove_stale
from orchestrator.running.executors.base import ExecutorLostError, SweepController
from orchestrator.running.executors.child_process import ChildProcess
from orchestrator.running.executors.controller_link import Call, Failed, Finished, Ready, Refused
from orchestrator.running.executors.losses import lost_record
from orchestrator.running.executors.preparation import Preparation
from orchestrator.running.task import Share, Task
from orchestrator.store.attempt_record import AttemptRecord, Point, State

__all__ = ["Supervisor", "SupervisorTimings"]

MOST_RESTARTS = 3
"""Restarts in a row without progress after which the sweep ends, on a cluster that is started here."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class SupervisorTimings:
    """How long the driver waits for the child; an executor on Ray calls several times a second."""

    check_seconds: float = 1.0
    """Between two looks at the child; silence is counted in these, so that a suspended driver does not count."""
    warning_seconds: float = 8.0
    """Without a call, the user is told."""
    silent_seconds: float = 90.0
    """Without a call, the executor counts as failed; Ray itself gives up after 60 seconds."""
    starting_seconds: float = 180.0
    """Most that the first start of an executor may take."""
    restarting_seconds: float = 180.0
    """Most that another start may take."""


@dataclass(slots=True)
class TaskOfChild:
    """A task that the child has."""

    task: Task
    started_at: float | None = None
    """Seconds since the epoch; None while it waits for a process."""


class Supervisor:
    """The executor that `content`, a pickled function, makes in a child process.

    When it fails, running tasks end as lost and the others are returned, and it is started again: at most
    `most_restarts` times in a row without progress, which is a record, or a point at a later step than any before.
    After a task was killed for memory that it shared with others, half as many run at a time.
    """

    def __init__(
        self,
        content: bytes,
        timings: SupervisorTimings | None = None,
        *,
        most_restarts: int = MOST_RESTARTS,
        private: bool = False,
        preparation: Preparation | None = None,
    ) -> None:
        """Starts the executor; it is `private` if nobody else uses what it has started. Raises SweepError.

        `preparation` tells the user what is being started.
        """
        self.content = content
        self.private = private
        self.preparation = preparation or Preparation(lambda _: None, "")
        self.most_restarts = most_restarts
        self.timings = timings or SupervisorTimings()
        self.capacity = Share(cpus=0.0)
        self.tasks: dict[str, TaskOfChild] = {}
        """By trial id."""
        self.last_steps: dict[str, int] = {}
        """The last step of each trial that has reported."""
        self.restarts = 0
        """In a row without progress."""
        self.most_tasks: int | None = None
        """Tasks at a time, once memory was short."""
        self.crowd = 0
        """Tasks that the child had when one of them was killed for memory; 0 since the last start."""
        self.child: ChildProcess | None = None
        try:
            self.start(self.timings.starting_seconds)
        except ExecutorLostError as error:
            raise SweepError(str(error)) from error

    def run(self, controller: SweepController) -> None:
        """Run tasks until the controller is finished. Raises ExecutorLostError."""
        while not controller.finished:
            try:
                self.serve(controller, self.child or self.start(self.timings.restarting_seconds))
            except ExecutorLostError as error:
                self.recover(controller, str(error))

    def start(self, limit: float) -> ChildProcess:
        """Start a child. Raises ExecutorLostError when the executor in it has not started after `limit` seconds."""
        self.preparation.begin()
        child = self.child = ChildProcess(self.content)
        try:
            match child.receive(limit):
                case Ready(capacity=capacity):
                    self.capacity = capacity
                    return child
                case Refused(message=reason):
                    pass
                case _:
                    reason = f"Ray did not answer within {limit:.0f} s"
        except EOFError:
            reason = f"Ray ended the process that was to start it ({child.kill()})"
        except BaseException:  # Ctrl-C
            self.stop()
            raise
        self.stop()
        raise ExecutorLostError(reason)

    def serve(self, controller: SweepController, child: ChildProcess) -> None:
        """Answer the child's calls until the controller is finished. Raises ExecutorLostError when the child fails."""
        child.send("run")
        silent_seconds = 0.0
        warned = False
        while True:
            self.preparation.look()
            try:
                message = child.receive(self.timings.check_seconds)
            except EOFError:
                raise ExecutorLostError(f"Ray ended the process that was connected to it ({child.kill()})") from None
            match message:
                case Call():
                    result = self.answer(controller, message)
                    if message.answered:
                        child.send(result)
                case Finished():
                    return
                case Failed():
                    raise ExecutorLostError(message.reason)
            silent_seconds = silent_seconds + self.timings.check_seconds if message is None else 0.0
            if silent_seconds >= self.timings.silent_seconds:
                raise ExecutorLostError(f"Ray has not answered for {silent_seconds:.0f} s")
            if silent_seconds >= self.timings.warning_seconds and not warned:
                limit = self.timings.silent_seconds
                logger.warning("Ray has not answered for %.0f s; waiting up to %.0f s", silent_seconds, limit)
            warned = silent_seconds >= self.timings.warning_seconds

    def recover(self, controller: SweepController, failure: str) -> None:
        """End what the child had. Raises ExecutorLostError if another child is not worth a try."""
        self.stop()
        remove_stale()
        for trial_id, item in list(self.tasks.items()):
            if item.started_at is None:
                controller.returned(self.tasks.pop(trial_id).task)
            else:
                self.end(controller, trial_id, lost_record(item.task, item.started_at, failure), counts=False)
        if controller.finished:
            return
        fewer = ""
        if self.crowd > 1:  # a run with fewer is another one
            self.most_tasks = self.crowd // 2
            fewer = f", {self.most_tasks} at a time"
        elif self.restarts >= self.most_restarts:
            plural = "" if self.restarts == 1 else "s"
            raise ExecutorLostError(
                f"{failure}; {self.restarts} restart{plural} without progress; the same command resumes the sweep"
            )
        else:
            self.restarts += 1
        self.crowd = 0
        logger.warning("%s; running trials are retried from their last checkpoints%s", failure, fewer)

    def answer(self, controller: SweepController, call: Call) -> Any:
        """Carry out a call of the child's; what the controller raises passes through."""
        arguments = call.arguments
        match call.name:
            case "finished":
                return controller.finished
            case "next_task":
                self.capacity = call.capacity or self.capacity
                return self.next_task(controller, *arguments)
            case "stop_state":
                return controller.stop_state(self.tasks[arguments[0]].task)
            case "started":
                item = self.tasks[arguments[0]]
                item.started_at = time.time()
                return controller.started(item.task)
            case "reported":
                return self.report(controller, *arguments)
            case "ended":
                trial_id, record, counts = arguments
                return self.end(controller, trial_id, record, counts=counts)
            case "returned":
                return controller.returned(self.tasks.pop(arguments[0]).task)
        raise AssertionError(call.name)

    def next_task(self, controller: SweepController, available: Share) -> Task | None:
        """The controller's next task, if one more may run."""
        if self.most_tasks is not None and len(self.tasks) >= self.most_tasks:
            return None
        task = controller.next_task(available)
        if task is not None:
            self.tasks[task.trial_id] = TaskOfChild(task)
        return task

    def report(self, controller: SweepController, trial_id: str, point: Point) -> None:
        """Pass a point on; it is progress if the trial has never come so far."""
        self.preparation.end()
        if point.step > self.last_steps.get(trial_id, 0):
            self.last_steps[trial_id] = point.step
            self.restarts = 0
        controller.reported(self.tasks[trial_id].task, point)

    def end(self, controller: SweepController, trial_id: str, record: AttemptRecord, *, counts: bool) -> None:
        """Pass the end of an attempt on; it is progress if it counts."""
        if counts:
            self.restarts = 0
        elif record.state is State.OUT_OF_MEMORY:
            self.crowd = self.crowd or len(self.tasks)
        controller.ended(self.tasks.pop(trial_id).task, record, counts=counts)

    def stop(self) -> None:
        """Kill the child and what it has started."""
        if self.child is not None:
            self.child.kill()
            self.child = None

    def shutdown(self) -> None:
        """End the executor, and the child when it has; a private one is killed, because Ray takes a second to end."""
        if self.child is not None and not self.private:
            self.child.close()
            self.child = None
        self.stop()
