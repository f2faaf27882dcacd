"""Owner: the driver that holds a run directory, as it names itself in the lock file or lease."""

from __future__ import annotations

import json
import os
import socket
import time
from dataclasses import asdict, dataclass, field
from typing import Self
from uuid import uuid4

from orchestrator.machine.process_identity import ProcessIdentity, this_machine
from orchestrator.store.json_text import parse_json

__all__ = ["Owner"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Owner:
    """A driver, as other drivers see it."""

    host: str
    pid: int
    since: float
    """When it took the lock, seconds since the epoch."""
    machine: str = ""
    """Boot id and process namespace in which `pid` is valid; empty where the system has neither."""
    nonce: str = field(default_factory=lambda: uuid4().hex)
    """Distinguishes two locks taken by one process."""

    @classmethod
    def here(cls) -> Self:
        """The calling process."""
        return cls(host=socket.gethostname(), pid=os.getpid(), since=time.time(), machine=this_machine())

    @classmethod
    def from_text(cls, text: str | bytes) -> Self | None:
        """Inverse of `to_text`; None for any other text, such as a file that is being written."""
        try:
            values = parse_json(text)
            return cls(**{key: values[key] for key in ("host", "pid", "since", "machine", "nonce")})
        except (ValueError, TypeError, KeyError):
            return None

    def to_text(self) -> str:
        """One line of JSON."""
        return json.dumps(asdict(self))

    def describe(self) -> str:
        """`process 4711 on node3, since 2026-03-01 09:30:00`, in local time."""
        since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(self.since))
        return f"process {self.pid} on {self.host}, since {since}"

    def alive(self) -> bool | None:
        """Whether the process is alive; None when it runs on another machine or in another container."""
        return ProcessIdentity(pid=self.pid, machine=self.machine).alive()
