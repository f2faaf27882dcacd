"""The calls of a SweepController between a driver and the child process in which its executor runs."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

from orchestrator.running.task import Share, Task
from orchestrator.store.attempt_record import AttemptRecord, Point, State

__all__ = ["Call", "DriverGoneError", "Failed", "Finished", "Ready", "Refused", "RemoteController"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Ready:
    """The child's executor has started."""

    capacity: Share


@dataclass(frozen=True, kw_only=True, slots=True)
class Refused:
    """The child's executor cannot start."""

    message: str
    """One line for the user."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Finished:
    """The executor has returned, because the controller is finished."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Failed:
    """The executor, or what it depends on, has failed; the child ends."""

    reason: str
    """One line for the user."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Call:
    """A call of the controller by the executor. Tasks are sent as their trial ids."""

    name: str
    arguments: tuple[Any, ...] = ()
    capacity: Share | None = None
    """With `next_task`: what the executor has at the moment."""
    answered: bool = True
    """Whether the child waits for the result."""


class DriverGoneError(BaseException):
    """The driver has died or wants nothing more; not an Exception, so that nobody takes it for a failure of Ray."""


class RemoteController:
    """The driver's controller, for an executor in a child process."""

    def __init__(self, connection: Connection, capacity: Callable[[], Share]) -> None:
        """`capacity`: what the executor has at the moment."""
        self.connection = connection
        self.capacity = capacity
        self.sending = threading.Lock()

    def tell(self, message: object) -> None:
        """Send a message, from any thread. Raises DriverGoneError."""
        try:
            with self.sending:
                self.connection.send(message)
        except OSError:
            raise DriverGoneError from None

    def ask(self, name: str, *arguments: Any, capacity: Share | None = None) -> Any:
        """Call the controller, and return what it returns. Raises DriverGoneError."""
        self.tell(Call(name=name, arguments=arguments, capacity=capacity))
        return self.hear()

    def hear(self) -> Any:
        """The driver's next message. Raises DriverGoneError."""
        try:
            return self.connection.recv()
        except (EOFError, OSError):
            raise DriverGoneError from None

    @property
    def finished(self) -> bool:
        """Nothing is left to run."""
        return bool(self.ask("finished"))

    def next_task(self, available: Share) -> Task | None:
        """The next task that fits into `available`."""
        task: Task | None = self.ask("next_task", available, capacity=self.capacity())
        return task

    def stop_state(self, task: Task) -> State | None:
        """The state with which to stop a running task."""
        state: State | None = self.ask("stop_state", task.trial_id)
        return state

    def started(self, task: Task) -> None:
        """A worker has started the task."""
        self.tell(Call(name="started", arguments=(task.trial_id,), answered=False))

    def reported(self, task: Task, point: Point) -> None:
        """A point has arrived."""
        self.tell(Call(name="reported", arguments=(task.trial_id, point), answered=False))

    def ended(self, task: Task, record: AttemptRecord, *, counts: bool = True) -> None:
        """The attempt is over."""
        self.tell(Call(name="ended", arguments=(task.trial_id, record, counts), answered=False))

    def returned(self, task: Task) -> None:
        """The task has not started."""
        self.tell(Call(name="returned", arguments=(task.trial_id,), answered=False))
