"""ChildProcess: the driver's end of the child process in which an executor runs."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections import deque
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from orchestrator.machine.python_child import how_ended, module_path
from orchestrator.running.executors.losses import cause_of_end

__all__ = ["ChildProcess"]

CODE = "import sys; sys.path[:] = {path!r}; from {module} import main; main({handle}, {parent})"
MODULE = "orchestrator.running.executors.child"

LOG_PREFIX = re.compile(r"^\[.*?\] \S+:\d+:\s*")
"""Of a line that Ray's C++ code prints: time, process, file and line."""

INFORMATION = ":info_message:"
"""In lines of Ray that name no cause."""

LINES_KEPT = 20
CLOSING_SECONDS = 15.0
"""How long the child has to end its executor by itself."""
KILLING_SECONDS = 10.0
"""How long killed processes may take to disappear."""


class ChildProcess:
    """A child with a session of its own, which contains all processes that it starts."""

    def __init__(self, content: bytes) -> None:
        """`content`: a pickled function without arguments that makes the executor. Starts the child."""
        ours, theirs = socket.socketpair()
        with theirs:
            handle = theirs.fileno()
            code = CODE.format(path=module_path(), module=MODULE, handle=handle, parent=os.getpid())
            reading, writing = os.pipe()
            self.output = os.fdopen(reading, "rb", buffering=0)
            os.set_blocking(reading, False)
            with os.fdopen(writing, "wb") as output:
                self.process = subprocess.Popen(  # noqa: S603 - this interpreter, this module
                    [sys.executable, "-c", code],
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    pass_fds=[handle],
                    start_new_session=True,  # Ctrl-C is for the driver
                )
        self.lines: deque[str] = deque(maxlen=LINES_KEPT)
        """The last that it has printed."""
        self.connection = Connection(ours.detach())
        self.send(content)

    def send(self, message: object) -> None:
        """Send a message; one to a dead child is lost, and `receive` tells."""
        with suppress(OSError):
            self.connection.send(message)

    def receive(self, seconds: float) -> Any:
        """The child's next message; None when none has come for `seconds`. Raises EOFError when the child has died."""
        deadline = time.monotonic() + seconds
        output = self.output.fileno()
        waited_for: list[Any] = [self.connection, output]
        while ready := wait(waited_for, max(deadline - time.monotonic(), 0.0)):
            if output in ready and not self.read_output():
                waited_for.remove(output)
            if self.connection in ready:
                try:
                    return self.connection.recv()
                except OSError as error:
                    raise EOFError from error
        return None

    def read_output(self) -> bool:
        """Keep the last lines of what the child prints, so that it is never blocked; False at its end."""
        text = b""
        while chunk := self.output.read(65536):
            text += chunk
        lines = text.decode(errors="replace").splitlines()
        self.lines.extend(line for line in lines if line.strip() and INFORMATION not in line)
        return chunk is None

    def close(self) -> None:
        """Let the child end its executor and itself, and kill what is left after CLOSING_SECONDS."""
        with suppress(OSError), socket.socket(fileno=os.dup(self.connection.fileno())) as ours:
            ours.shutdown(socket.SHUT_WR)
        deadline = time.monotonic() + CLOSING_SECONDS
        with suppress(EOFError):  # the child has ended
            while (left := deadline - time.monotonic()) > 0:
                self.receive(left)
        self.kill()

    def kill(self) -> str:
        """Kill what is left of the child and of its session; returns how the child ended, and the last line it printed.

        The child is reaped last, so that no other session has its number.
        """
        if self.process.returncode is None:
            with suppress(ProcessLookupError):
                os.kill(self.process.pid, signal.SIGKILL)
            self.connection.close()  # later, because a child that notices it begins to end its executor
            deadline = time.monotonic() + KILLING_SECONDS
            while (members := members_of(self.process.pid)) and time.monotonic() < deadline:
                for member in members:
                    with suppress(ProcessLookupError, PermissionError):
                        os.kill(member, signal.SIGKILL)
                time.sleep(0.02)
            self.read_output()
            self.process.wait(KILLING_SECONDS)
            self.output.close()
        code = self.process.returncode
        how = how_ended(code)
        return f"{how}: {cause_of_end(LOG_PREFIX.sub('', self.lines[-1]))}" if self.lines else how


def members_of(session: int) -> list[int]:
    """Processes of a session that are alive; none on systems without /proc, where they end with the child."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            state, _, _, its_session = (entry / "stat").read_bytes().rpartition(b") ")[2].split()[:4]
        except (OSError, ValueError):  # it has just ended
            continue
        if int(its_session) == session and state not in (b"Z", b"X"):
            found.append(int(entry.name))
    return found
