"""FigureProcess: draws figures in a child process, so that the caller neither waits for matplotlib nor imports it.

While the last trials of a sweep run, the process draws in advance, in a child with low priority (`prepare`). At the end
it draws what has changed since, on several cores (`begin`, `draw`). It gets data and returns the contents of files: it
opens none itself, so it can be killed at any moment.
"""

from __future__ import annotations

import os
import pickle
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection

from orchestrator.machine.python_child import how_ended, python_path
from reports.figures.drawing import Drawing

__all__ = ["FigureProcess", "Order"]

MODULE = "reports.figures.child"
SILENT_SECONDS = 60.0
"""Without a figure for so long, the process counts as hanging."""
MOST_BYTES_IN_ADVANCE = 65_536
"""Of data that are sent while trials run: they fit into the buffer of a socket, so that the driver never waits."""
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
"""Nothing here is worth more threads, and the child forks."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Order:
    """What the child is to draw. A new order replaces the one before it."""

    drawings: tuple[Drawing, ...]
    in_advance: bool
    """With low priority, and without sending it: most of it will be drawn again."""


class FigureProcess:
    """The caller's side. The process starts with the first figure that is to be drawn."""

    def __init__(self, silent_seconds: float = SILENT_SECONDS) -> None:
        self.silent_seconds = silent_seconds
        self.process: subprocess.Popen[bytes] | None = None
        self.connection: Connection
        self.busy = False
        """It has an order to draw in advance, and has not said that it is done."""
        self.begun: tuple[str, ...] = ()
        """Digests of what was ordered last."""
        self.starts = 0
        """Processes started so far."""
        self.drawn: list[str] = []
        """Names of the figures that `draw` has returned."""

    def prepare(self, drawings: Sequence[Drawing]) -> None:
        """Draw in advance what may stay as it is; never waits. Does nothing while the process is at work.

        Raises OSError when no process can be started.
        """
        if not drawings:
            return
        if self.process is not None and self.busy and self.connection.poll(0):
            with suppress(EOFError, OSError):
                self.connection.recv()
                self.busy = False
        if self.busy or (self.process is not None and self.process.poll() is not None):
            return
        sent: list[Drawing] = []
        size = 0
        for drawing in drawings:
            size += len(pickle.dumps(drawing))
            if size > MOST_BYTES_IN_ADVANCE:
                break
            sent.append(drawing)
        self.send(Order(drawings=tuple(sent), in_advance=True))
        self.busy = True

    def begin(self, drawings: Sequence[Drawing]) -> None:
        """Let the process draw while the caller does something else; `draw` of the same figures returns them.

        Raises OSError when no process can be started.
        """
        if drawings:
            self.send(Order(drawings=tuple(drawings), in_advance=False))
            self.begun = tuple(drawing.digest for drawing in drawings)

    def draw(self, drawings: Sequence[Drawing]) -> Mapping[str, Mapping[str, bytes] | str]:
        """Draw figures: by name, the content of the file of each format, or why there is none.

        Raises OSError when no process can be started.
        """
        if self.begun != tuple(drawing.digest for drawing in drawings):
            self.begin(drawings)
        self.begun = ()
        found: dict[str, Mapping[str, bytes] | str] = {}
        awaited = {drawing.name for drawing in drawings}
        while awaited:
            message = self.receive()
            if isinstance(message, str):
                found.update(dict.fromkeys(awaited, message))
                break
            name, content = message
            if name in awaited:
                awaited.remove(name)
                found[name] = content
        self.drawn += [name for name, content in found.items() if not isinstance(content, str)]
        return found

    def stop(self) -> None:
        """Kill the process and those that it has forked. It has written nothing that could be cut short."""
        if self.process is None:
            return
        if self.process.returncode is None:  # not reaped yet, so the number is still its own
            with suppress(ProcessLookupError, PermissionError):  # macOS refuses a group whose processes have ended
                os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.connection.close()
        self.process, self.busy, self.begun = None, False, ()

    def send(self, order: Order) -> None:
        """Send an order to the process, or to a new one where it has ended. A process that does not read is killed."""
        if self.process is not None and self.process.poll() is not None:
            self.stop()
        if self.process is None:
            self.start()
        try:
            self.connection.send(order)
        except OSError:  # it hangs or is dead, which `receive` tells
            if self.process is not None:
                self.process.kill()

    def receive(self) -> tuple[str, Mapping[str, bytes] | str] | str:
        """Name and content of the next figure, or why none will follow, after which the process has ended."""
        started = time.monotonic()
        try:
            if self.connection.poll(self.silent_seconds):
                message: tuple[str, Mapping[str, bytes] | str] = self.connection.recv()
                return message
            reason = f"not drawn: the process that draws has not answered for {time.monotonic() - started:.0f} s"
        except (EOFError, OSError, pickle.UnpicklingError):
            reason = f"not drawn: the process that draws has ended ({self.how_it_ended()})"
        self.stop()
        return reason

    def how_it_ended(self) -> str:
        """`killed by SIGKILL`, or `exit code 1`."""
        code = None
        if self.process is not None:
            with suppress(subprocess.TimeoutExpired):  # it has closed the connection only
                code = self.process.wait(1.0)
        if code is None:
            return "without an exit code"
        return how_ended(code)

    def start(self) -> None:
        """Start the process, in a session of its own because Ctrl-C is for the driver. Raises OSError."""
        ours, theirs = socket.socketpair()
        seconds = struct.pack("ll", max(int(self.silent_seconds), 1), 0)
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, seconds)
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, seconds)
        with theirs:
            try:
                self.process = subprocess.Popen(  # noqa: S603 - this interpreter, this module
                    [sys.executable, "-P", "-m", MODULE, str(os.getpid())],
                    env={**os.environ, **ONE_THREAD, "PYTHONPATH": python_path()},
                    stdin=theirs.fileno(),
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    start_new_session=True,
                )
            except OSError:
                ours.close()
                raise
        self.connection = Connection(ours.detach())
        self.busy = False
        self.starts += 1
