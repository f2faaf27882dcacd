"""TrialWorker: what a worker of Ray does with a task: it hands it to the fork server of its node."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from orchestrator.running.executors.session_folder import session_parent
from orchestrator.running.fork_server.remote_trial import RemoteTrial
from orchestrator.running.fork_server.request import DIED, POINT, RECORD, TrialRequest
from orchestrator.running.fork_server.starting import connect, shared_server

__all__ = ["TrialWorker"]

LOST = "lost"
"""`State.LOST`, without importing it into every worker."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TrialWorker:
    """The same for all tasks of a sweep, so that Ray sends it once to each worker."""

    work: bytes
    """The pickled function that does the work (`orchestrator.running.task.Work`)."""
    server: str = ""
    """Socket of the driver's fork server, on its node; other nodes, and those of a cluster that was joined, start one.
    """
    key: str = "sweep"
    """Names the servers of this sweep."""
    modules: tuple[str, ...] = ()
    """What they import."""
    code: Mapping[str, str] = field(default_factory=dict)
    """The driver's git state, for workers that got the source code without its repository."""
    umask: int | None = None
    """Of a trial; None: the worker's."""
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Forwarded variables; as part of this object they are in the memory of Ray's object store, and in no log."""

    def run(self, task: bytes, report: Callable[[Mapping[str, Any]], object], node: str) -> dict[str, str]:
        """Run a pickled task in a process of its own on this `node`; returns its record, or why there is none.

        `report` gets the points; what it raises ends the process.
        """
        request = TrialRequest(
            work=self.work,
            task=task,
            environment={**os.environ, **self.environment},
            folder=os.getcwd(),  # noqa: PTH109 - a folder may be gone
            umask=self.umask,
        )
        record: dict[str, Any] | None = None
        reason = ""
        try:
            with RemoteTrial(self.connected(), request) as trial:
                for message in trial.messages():
                    if POINT in message:
                        report(message[POINT])
                    elif RECORD in message:
                        record = message[RECORD]
                    else:
                        reason = message[DIED]
                reason = reason or trial.reason
        except OSError as error:  # no server can be reached
            reason = f"{type(error).__name__}: {error}"
        return {DIED: reason} if record is None else {RECORD: json.dumps(self.completed(record, node))}

    def connected(self) -> socket.socket:
        """A connection to the fork server of this node. Raises OSError."""
        if self.server:
            with suppress(OSError):  # it was killed
                return connect(self.server)
        return shared_server(session_parent(), self.key, self.modules)

    def completed(self, record: dict[str, Any], node: str) -> dict[str, Any]:
        """A record in JSON with what only the worker knows."""
        environment = dict(record["environment"])
        if not environment.get("commit"):
            environment |= self.code
        if record["state"] == LOST:  # its device was busy, or a rank died: the retry avoids this node
            environment["node"] = node
        return {**record, "environment": environment}
