"""InFlight: the tasks that Ray Tune has, and what happens to them."""

from __future__ import annotations

import json
import pickle
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

from orchestrator.running.executors.base import ExecutorLostError, SweepController
from orchestrator.running.executors.losses import ended_record, lost_record, short_line
from orchestrator.running.executors.packed_task import NODE, TASK, PackedTask
from orchestrator.running.fork_server.request import DIED, POINT, RECORD
from orchestrator.running.task import Share, Task
from orchestrator.store.attempt_record import AttemptRecord, Point, State

if TYPE_CHECKING:
    from orchestrator.running.executors.ray_tune import RayTune

__all__ = ["CHECK_SECONDS", "InFlight"]

CHECK_SECONDS = 1.0
"""Time between two checks of the running trials and of the cluster."""

WARM_UP_SECONDS = 10.0
"""How long workers that have finished wait for those that are starting: see `InFlight.holds`."""


class TuneTrial(Protocol):
    """What is used of `ray.tune.experiment.Trial`."""

    config: dict[str, Any]
    status: str
    """PENDING while it waits for its worker, RUNNING once it has it."""


@dataclass(slots=True)
class TaskInFlight:
    """A task that was given to Tune and has not ended."""

    task: Task
    trial: TuneTrial | None = None
    worker: Any = None
    """Ray's handle of its worker; Tune lets go of it when it fails."""
    started_at: float | None = None
    """Seconds since the epoch."""
    node: str = ""
    """Id of the node it runs on, once it has reported."""
    stopping_since: float | None = None
    """When the controller first wanted it to stop, on the monotonic clock."""


class InFlight:
    """The tasks that Tune has; turns what happens to them into calls of the controller, one `ended` for each task."""

    def __init__(self, controller: SweepController, cluster: RayTune) -> None:
        self.controller = controller
        self.cluster = cluster
        self.tasks: dict[int, TaskInFlight] = {}
        self.count = 0
        self.taken = Share(cpus=0.0)
        """What the tasks take together. Kept, because Tune asks for a task at every step."""
        self.checked_at = 0.0
        self.waits_for: dict[int, set[int]] = {}
        """By index of a task that is over, the tasks for whose start its worker waits."""
        self.warm_at: float | None = None
        """When workers stop to wait for others, on the monotonic clock."""
        self.overfull = ""
        """Why the executor must start again with fewer tasks; empty while it need not."""

    def __reduce__(self) -> tuple[type[object], tuple[()]]:
        """Pickle nothing: Tune pickles its scheduler for a restore that is never done, and ours holds open files."""
        return object, ()

    def next_task(self) -> PackedTask | None:
        """The controller's next task, if resources are available."""
        limit = self.cluster.max_concurrent
        if limit is not None and len(self.tasks) >= limit:
            return None
        task = self.controller.next_task(self.cluster.capacity - self.taken)
        if task is None:
            return None
        self.count += 1
        alive = self.cluster.nodes() if task.avoid_nodes else set[str]()
        avoid = tuple(node for node in task.avoid_nodes if node in alive)
        task = replace(task, avoid_nodes=avoid if set(avoid) < alive else ())  # never all nodes
        self.tasks[self.count] = TaskInFlight(task)
        self.taken = self.taken + task.share
        return PackedTask(self.count, pickle.dumps(task))

    def forget(self, index: int) -> None:
        """A task is over, or goes back to the controller."""
        self.taken = self.taken - self.tasks.pop(index).task.share
        if not self.tasks:
            self.taken = Share(cpus=0.0)  # without what rounding has left

    def add(self, trial: TuneTrial) -> None:
        """Tune has created a trial for a task."""
        self.tasks[index_of(trial)].trial = trial

    def notice_starts(self) -> None:
        """Tell the controller of the trials that have got their worker."""
        for item in list(self.tasks.values()):
            if item.trial is not None and item.trial.status == "RUNNING":
                self.start(item)

    def first_pending(self) -> TuneTrial | None:
        """The trial that has waited longest for a worker."""
        trials = (item.trial for item in self.tasks.values() if item.trial is not None)
        return next((trial for trial in trials if trial.status == "PENDING"), None)

    def start(self, item: TaskInFlight) -> None:
        """Tell the controller that a task has started, once."""
        if item.started_at is None:
            item.started_at = time.time()
            item.worker = self.cluster.worker_of(item.trial)
            self.controller.started(item.task)

    def receive(self, trial: TuneTrial, result: Mapping[str, Any]) -> bool:
        """Handle a report: a point, or the record that ends the attempt. Returns whether the trial is to stop now.

        After its record a trial stops, unless its worker must wait (`holds`).
        """
        index = index_of(trial)
        item = self.tasks.get(index)
        if item is None:
            return not self.holds(index)
        self.start(item)
        if RECORD in result or DIED in result:
            self.waits_for[index] = {
                number
                for number, other in self.tasks.items()
                if other.started_at is None and other.task.share == item.task.share
            }
            if DIED in result:
                self.lose(trial, result[DIED])
            else:
                self.forget(index)
                self.controller.ended(item.task, AttemptRecord.from_json(json.loads(result[RECORD])))
            return not self.holds(index)
        if POINT in result:
            item.node = result[NODE]
            self.controller.reported(item.task, Point(**json.loads(result[POINT])))
        return self.controller.stop_state(item.task) is not None

    def holds(self, index: int) -> bool:
        """Whether the worker of a task that is over must wait for others that are starting.

        Tune gives a free worker to the trial that has waited longest, and cancels the worker that was starting for
        it. With trials shorter than the start of a worker, one worker would run them all, however many fit. A sweep
        waits `WARM_UP_SECONDS` in total: on a cluster with other users, some workers never start.
        """
        alive = [self.tasks[number] for number in self.waits_for.get(index, ()) if number in self.tasks]
        if any(item.started_at is None for item in alive):
            now = time.monotonic()
            self.warm_at = self.warm_at or now + WARM_UP_SECONDS
            if now < self.warm_at:
                return True
        self.waits_for.pop(index, None)
        return False

    def lose(self, trial: TuneTrial, message: str, *, counts: bool = True) -> None:
        """A trial ended without a record: the controller stopped it, or its process died.

        A task that shared its node when it was killed for memory may fit with fewer others: that does not count, and
        the next `check` ends this run.
        """
        item = self.tasks.get(index_of(trial))
        if item is None:
            return
        self.start(item)
        started_at = item.started_at or time.time()
        if stopped := self.controller.stop_state(item.task):
            record = ended_record(item.task, started_at, stopped, None, node=item.node)
        else:
            record = lost_record(item.task, started_at, message, node=item.node)
        if record.state is State.OUT_OF_MEMORY and record.error is not None and self.has_neighbours(item):
            counts, self.overfull = False, self.overfull or record.error.message
        self.forget(index_of(trial))
        self.controller.ended(item.task, record, counts=counts)

    def has_neighbours(self, item: TaskInFlight) -> bool:
        """Whether other tasks run or start on the node of a task, as far as is known."""
        others = [other for other in self.tasks.values() if other is not item]
        return bool(self.overfull) or any(not item.node or other.node in ("", item.node) for other in others)

    def check(self) -> None:
        """About once a second: kill what should have stopped by now.

        Raises ExecutorLostError after a task was killed for memory that it shared with others.
        """
        now = time.monotonic()
        if now - self.checked_at < CHECK_SECONDS:
            return
        self.checked_at = now
        if self.overfull:
            raise ExecutorLostError(self.overfull)
        for item in list(self.tasks.values()):
            if item.started_at is None or self.controller.stop_state(item.task) is None:
                continue
            item.stopping_since = item.stopping_since or now
            if now - item.stopping_since > self.cluster.grace_seconds:
                self.cluster.kill(item.trial)

    def fail(self, error: Exception) -> str:
        """Tune has ended with an exception: end or return every task; returns the reason in one line."""
        started = {item.worker: item.trial for item in self.tasks.values() if item.started_at is not None}
        for worker, message in self.cluster.memory_kills([worker for worker in started if worker is not None]):
            if (trial := started[worker]) is not None:
                self.lose(trial, message)
        reason = self.overfull or (
            str(error) if isinstance(error, ExecutorLostError) else f"Ray Tune failed ({short_line(error)})"
        )
        self.close(reason, counts=False)
        return reason

    def close(self, message: str, *, counts: bool = True) -> None:
        """Every task that Tune did not bring to its end is lost if it has started, and else returned."""
        for index, item in list(self.tasks.items()):
            if item.trial is not None and item.started_at is not None:
                self.lose(item.trial, message, counts=counts)
            else:
                self.forget(index)
                self.controller.returned(item.task)


def index_of(trial: TuneTrial) -> int:
    """Index of the task behind a Tune trial."""
    packed: PackedTask = trial.config[TASK]
    return packed.index
