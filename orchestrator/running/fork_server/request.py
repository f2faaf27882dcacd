"""What a fork server is asked, and what it answers, on a Unix socket.

A client sends a `TrialRequest` with a descriptor: its end of the connection over which the trial's process reports.
When the process is over, the server answers with `Ended`. A client that closes the socket before ends the process.
"""

from __future__ import annotations

import json
import pickle
import signal
import socket
import struct
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Self

__all__ = ["CONTINUE", "DIED", "POINT", "RECORD", "STOP", "Ended", "TrialRequest", "receive_request", "send_request"]

POINT, RECORD, DIED = "point", "record", "died"
"""Keys of what a trial's process sends, each a JSON object with one of them; it waits for an answer to a point."""

CONTINUE, STOP = b"continue", b"stop"
"""The answers to a point."""

LENGTH = struct.Struct("!Q")
"""Precedes a request: its bytes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TrialRequest:
    """A trial to run in a process of its own."""

    work: bytes
    """A pickled `Work`."""
    task: bytes
    """A pickled `Task`. Neither is unpickled in the server."""
    environment: Mapping[str, str]
    """All variables of the process; those of the server do not count."""
    folder: str
    """Its current folder."""
    umask: int | None = None
    """None: the server's."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Ended:
    """How a trial's process has ended."""

    code: int
    """Its exit code; -N after signal N."""
    last_line: str = ""
    """The last that it printed."""

    def to_line(self) -> bytes:
        """One line of JSON."""
        return json.dumps(asdict(self)).encode() + b"\n"

    @classmethod
    def from_line(cls, line: bytes) -> Self:
        """Inverse of `to_line`."""
        return cls(**json.loads(line))

    @property
    def reason(self) -> str:
        """`the process of the trial was killed by SIGSEGV: <last line>`."""
        if self.code < 0:
            how = f"was killed by {signal.Signals(-self.code).name}"
            how += " (out of memory?)" if self.code == -signal.SIGKILL else ""
        else:
            how = f"ended with exit code {self.code}"
        return f"the process of the trial {how}" + (f": {self.last_line}" if self.last_line else "")


def send_request(control: socket.socket, request: TrialRequest, reports: int) -> None:
    """Send a request and the descriptor `reports`. Raises OSError."""
    content = pickle.dumps(request)
    socket.send_fds(control, [LENGTH.pack(len(content))], [reports])
    control.sendall(content)


def receive_request(control: socket.socket) -> tuple[TrialRequest, int]:
    """The request and its descriptor. Raises OSError or EOFError if the client is gone."""
    length, descriptors, _, _ = socket.recv_fds(control, LENGTH.size, 1, socket.MSG_WAITALL)
    if len(length) < LENGTH.size or not descriptors:
        raise EOFError
    with control.makefile("rb") as stream:
        content = stream.read(LENGTH.unpack(length)[0])
    if len(content) < LENGTH.unpack(length)[0]:
        raise EOFError
    request: TrialRequest = pickle.loads(content)  # noqa: S301 - the socket is in a folder of this user alone
    return request, descriptors[0]
