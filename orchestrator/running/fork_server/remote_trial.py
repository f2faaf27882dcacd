"""RemoteTrial: the process of a trial, as its client on the same node sees it."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import suppress
from multiprocessing.connection import Connection, Pipe, wait
from types import TracebackType
from typing import Any, Self

from orchestrator.running.fork_server.request import CONTINUE, POINT, STOP, Ended, TrialRequest, send_request

__all__ = ["RemoteTrial"]

STOP_SECONDS = 1.5
"""How long a trial has to end after it was stopped at a report; Tune waits two seconds."""

EXIT_SECONDS = 20.0
"""How long a process may take to end after its last message."""


class RemoteTrial:
    """Runs a request at the server behind the socket `control`; the process ends with the `with` block.

    It may begin after the server has imported its modules, which takes seconds.
    """

    def __init__(self, control: socket.socket, request: TrialRequest) -> None:
        """Raises OSError if the server is gone."""
        self.control = control
        self.ended: Ended | None = None
        self.waiting = False
        """The trial waits for the answer to a point."""
        self.connection, theirs = Pipe()
        try:
            with theirs:
                send_request(control, request, theirs.fileno())
        except BaseException:
            self.connection.close()
            raise

    def messages(self) -> Iterator[dict[str, Any]]:
        """What the process reports, until it has ended. It waits at each point until the next message is asked for."""
        while (message := self.receive()) is not None:
            yield message
            if self.waiting:
                self.answer(CONTINUE)

    def receive(self) -> dict[str, Any] | None:
        """The next message; None when the process has ended, or the server."""
        sources: list[Connection | socket.socket] = [self.connection, self.control]
        while True:
            ready = wait(sources, EXIT_SECONDS if len(sources) == 1 else None)
            if self.connection in ready:  # first: what it sent before its end
                try:
                    message: dict[str, Any] = json.loads(self.connection.recv_bytes())
                except (EOFError, OSError):
                    sources.remove(self.connection)
                    continue
                self.waiting = POINT in message
                return message
            if self.control in ready:
                self.ended = self.read_end()
            return None

    def read_end(self) -> Ended | None:
        """How the process has ended; None if the server is gone."""
        with suppress(OSError, ValueError), self.control.makefile("rb") as stream:
            return Ended.from_line(stream.readline())
        return None

    def answer(self, answer: bytes) -> None:
        """Answer a point."""
        self.waiting = False
        with suppress(OSError):  # it has died, and `receive` tells
            self.connection.send_bytes(answer)

    @property
    def reason(self) -> str:
        """Why the process has ended without a record."""
        return "the fork server of the node died" if self.ended is None else self.ended.reason

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop a trial that waits at a point, give it a moment to end, and let the server kill it otherwise."""
        if self.waiting and self.ended is None:
            self.answer(STOP)
            wait([self.control], STOP_SECONDS)
        self.connection.close()
        self.control.close()
