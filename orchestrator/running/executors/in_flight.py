"""InFlight: the tasks that Tune has, and what happens to them."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Protocol

from orchestrator.running.executors.base import Director, ExecutorLostError
from orchestrator.running.executors.packed_task import PackedTask
from orchestrator.running.failures import sign
from orchestrator.running.task import Share, Task
from orchestrator.store.records import AttemptRecord, ErrorRecord, Point, State

__all__ = ["CHECK_SECONDS", "IDLE", "NODE", "POINT", "RECORD", "TASK", "InFlight"]

POINT, RECORD, NODE, TASK, IDLE = "point", "record", "node", "packed_task", "idle"

CHECK_SECONDS = 1.0
"""Between two looks at the running trials and at what the cluster has."""

WARM_UP_SECONDS = 10.0
"""How long processes that are done wait for those that are starting: see `InFlight.holds`."""

PENDING, RUNNING = "PENDING", "RUNNING"
"""Tune's names for the status of a trial that waits for its process, and of one that has it."""


class TuneTrial(Protocol):
    """What is used of `ray.tune.experiment.Trial`."""

    config: dict[str, Any]
    status: str


class Cluster(Protocol):
    """What in_flight ask of `RayTune`."""

    max_concurrent: int | None
    grace_seconds: float

    @property
    def capacity(self) -> Share:
        """What the nodes have."""

    @property
    def reuses_processes(self) -> bool:
        """Whether one process serves several trials."""

    def nodes(self) -> set[str]:
        """Ids of those that are alive and have a CPU."""

    def dead_daemons(self) -> list[str]:
        """Of the processes without which there is no cluster: those that died."""

    def kill(self, trial: Any) -> None:
        """End a trial's process now."""


@dataclass(slots=True)
class TaskInFlight:
    """A task that was handed to Tune and has not ended."""

    task: Task
    trial: TuneTrial | None = None
    started_at: float | None = None
    node: str = ""
    """Id of the node it runs on, once it has reported."""
    condemned_at: float | None = None
    """When the director first wanted it to end, by the monotonic clock."""


class InFlight:
    """The tasks that Tune has; turns what happens to them into calls of the director, one `ended` for each task."""

    def __init__(self, director: Director, executor: Cluster) -> None:
        self.director = director
        self.executor = executor
        self.running: dict[int, TaskInFlight] = {}
        self.count = 0
        self.looked_at = 0.0
        self.held: dict[int, set[int]] = {}
        """By flight that is over, those whose start its process waits for."""
        self.warm_at: float | None = None
        """When no process waits for another any more, by the monotonic clock."""
        self.reuses = executor.reuses_processes

    def __reduce__(self) -> tuple[type[object], tuple[()]]:
        """Nothing: Tune pickles what it gets for a restore that never comes, and directors hold threads and files."""
        return object, ()

    def hand_out(self) -> PackedTask | None:
        """The director's next task, if there is room for it."""
        limit = self.executor.max_concurrent
        if limit is not None and len(self.running) >= limit:
            return None
        room = self.executor.capacity
        for flight in self.running.values():
            room = room - flight.task.share
        task = self.director.next_task(room)
        if task is None:
            return None
        self.count += 1
        self.running[self.count] = TaskInFlight(self.alive(task))
        return PackedTask.wrap(self.count, self.running[self.count].task)

    def alive(self, task: Task) -> Task:
        """The task, with only those nodes to avoid that leave it a place to go to."""
        if not task.avoid:
            return task
        nodes = self.executor.nodes()
        avoid = tuple(node for node in task.avoid if node in nodes)
        return replace(task, avoid=avoid if set(avoid) < nodes else ())

    def add(self, trial: TuneTrial) -> None:
        """Tune has made a trial of a task."""
        self.running[index_of(trial)].trial = trial

    def notice_starts(self) -> None:
        """Tell the director of those that got their process since it was last asked."""
        for flight in list(self.running.values()):
            if flight.trial is not None and flight.trial.status == RUNNING:
                self.start(flight)

    def first_pending(self) -> TuneTrial | None:
        """The trial that has waited longest for a process."""
        waiting = (flight.trial for flight in self.running.values() if flight.trial is not None)
        return next((trial for trial in waiting if trial.status == PENDING), None)

    def start(self, flight: TaskInFlight) -> None:
        """Tell the director that a task has its process, once."""
        if flight.started_at is None:
            flight.started_at = time.time()
            self.director.started(flight.task)

    def receive(self, trial: TuneTrial, result: Mapping[str, Any]) -> bool:
        """A point, or the record that ends the attempt; returns whether the trial is to stop now.

        It does after its record, which is the last that it does, unless its process is held back.
        """
        index = index_of(trial)
        flight = self.running.get(index)
        if flight is None:
            return not self.holds(index)
        self.start(flight)
        if RECORD in result:
            self.held[index] = {
                other
                for other, item in self.running.items()
                if item.started_at is None and item.task.share == flight.task.share
            }
            self.end(index, AttemptRecord.from_json(json.loads(result[RECORD])))
            return not self.holds(index)
        if POINT in result:
            flight.node = result[NODE]
            self.director.reported(flight.task, Point(**json.loads(result[POINT])))
        return self.director.verdict(flight.task) is not None

    def holds(self, index: int) -> bool:
        """Whether the process of a flight that is over is to wait for others that are starting.

        Tune gives a process that is free to the trial that waits longest, and calls off the one that was started for
        it; so with trials shorter than a start one process runs them all, whatever there is room for. A sweep waits
        `WARM_UP_SECONDS` in all: on a cluster that others fill too, some never start.
        """
        waiting = {other for other in self.held.get(index, ()) if self.is_starting(other)}
        if waiting and self.reuses:
            now = time.monotonic()
            self.warm_at = self.warm_at or now + WARM_UP_SECONDS
            if now < self.warm_at:
                return True
        self.held.pop(index, None)
        return False

    def is_starting(self, index: int) -> bool:
        """Whether a flight has no process yet."""
        return index in self.running and self.running[index].started_at is None

    def lose(self, trial: TuneTrial, message: str) -> None:
        """The trial ended without a record: stopped by the director, or its process died."""
        flight = self.running.get(index_of(trial))
        if flight is None:
            return
        self.start(flight)
        stopped = self.director.verdict(flight.task)
        error = sign(ErrorRecord(kind="WorkerLost", message=message))
        self.end(
            index_of(trial),
            AttemptRecord(
                trial_id=flight.task.trial_id,
                attempt=flight.task.attempt,
                state=stopped or State.LOST,
                started_at=flight.started_at or time.time(),
                ended_at=time.time(),
                error=None if stopped else error,
                environment={"node": flight.node} if flight.node else {},
                resources=asdict(flight.task.share),
            ),
        )

    def end(self, index: int, record: AttemptRecord) -> None:
        """Tell the director, once."""
        flight = self.running.pop(index, None)
        if flight is not None:
            self.director.ended(flight.task, record)

    def look(self) -> None:
        """About once a second: see that the cluster lives, and end by force what should have ended."""
        now = time.monotonic()
        if now - self.looked_at < CHECK_SECONDS:
            return
        self.looked_at = now
        if died := self.executor.dead_daemons():
            raise ExecutorLostError(f"Ray's {' and '.join(died)} died; the same command goes on from here")
        for flight in list(self.running.values()):
            if flight.started_at is None or self.director.verdict(flight.task) is None:
                continue
            flight.condemned_at = flight.condemned_at or now
            if now - flight.condemned_at > self.executor.grace_seconds:
                self.executor.kill(flight.trial)

    def close(self) -> None:
        """What Tune never brought to an end is lost."""
        for flight in list(self.running.values()):
            if flight.trial is not None and flight.started_at is not None:
                self.lose(flight.trial, "the trial ended without a record")


def index_of(trial: TuneTrial) -> int:
    """Number of the flight behind a Tune trial."""
    packed_task: PackedTask = trial.config[TASK]
    return packed_task.index
