"""`python -c`: the child process in which an executor runs, so that the driver survives whatever Ray does.

Ray ends the process that is connected to it when its own processes have died, and blocks the calling thread before.
"""

from __future__ import annotations

import os
import pickle
import signal
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Protocol

from orchestrator.errors import SweepError
from orchestrator.interrupts import ENDING
from orchestrator.machine.parent_process import end_with_parent
from orchestrator.running.executors.base import Executor, ExecutorLostError
from orchestrator.running.executors.controller_link import (
    DriverGoneError,
    Failed,
    Finished,
    Ready,
    Refused,
    RemoteController,
)
from orchestrator.running.executors.losses import cause_of_end, short_line

__all__ = ["ClusterExecutor", "main"]

WATCH_SECONDS = 0.5
"""Time between two looks at the processes that the executor needs."""


class ClusterExecutor(Executor, Protocol):
    """An executor that needs other processes."""

    def dead_daemons(self) -> list[str]:
        """Names of those that have died. Called in a thread of its own."""

    def shutdown(self) -> None:
        """End them."""


def main(handle: int, parent: int) -> None:
    """Run an executor for the driver, process `parent`, at the other end of the socket `handle`."""
    os.set_inheritable(handle, False)
    ignore_signals()
    end_with_parent(parent)
    with Connection(handle) as connection:
        try:
            content = connection.recv()
            make: Callable[[], ClusterExecutor] = pickle.loads(content)  # noqa: S301 - pickled by our own driver
            serve(connection, make)
        except (DriverGoneError, EOFError):
            pass


def serve(connection: Connection, make: Callable[[], ClusterExecutor]) -> None:
    """Start the executor, and run it whenever the driver says so, until the driver closes the connection."""
    driver = RemoteController(connection, lambda: executor.capacity)
    try:
        executor = make()
    except SweepError as error:
        driver.tell(Refused(message=str(error)))
        return
    except Exception as error:
        driver.tell(Refused(message=f"the executor cannot start ({type(error).__name__}: {short_line(error)})"))
        return
    ignore_signals()  # Ray has set handlers
    try:
        driver.tell(Ready(capacity=executor.capacity))
        threading.Thread(target=watch, args=(executor, driver), name="watch", daemon=True).start()
        while driver.hear() is not None:
            try:
                executor.run(driver)
            except ExecutorLostError as error:
                driver.tell(Failed(reason=str(error)))
                return
            except Exception as error:
                driver.tell(Failed(reason=f"the executor failed ({type(error).__name__}: {cause_of_end(error)})"))
                return
            driver.tell(Finished())
    finally:
        executor.shutdown()


def watch(executor: ClusterExecutor, driver: RemoteController) -> None:
    """Tell the driver when a process that the executor needs has died, and end: the main thread may be blocked."""
    pause = threading.Event()
    while not (dead := executor.dead_daemons()):
        pause.wait(WATCH_SECONDS)
    try:
        driver.tell(Failed(reason=f"Ray's {' and '.join(dead)} died"))
    finally:
        os._exit(1)


def ignore_signals() -> None:
    """Leave Ctrl-C, and the signals by which a terminal or a scheduler ends processes, to the driver.

    By handlers that do nothing: unlike ignored signals, they are not inherited by the processes that Ray starts.
    """
    for number in ENDING:
        signal.signal(number, lambda _number, _frame: None)
