"""ProcessIdentity: a process as it names itself in a file, so that others know whether it still runs."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Self

__all__ = ["ProcessIdentity", "this_machine"]

STATE, START = 0, 19
"""Where /proc/<pid>/stat has the state of a process and the clock tick at which it started."""
ENDED = ("Z", "X")
"""States of a process that has ended."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ProcessIdentity:
    """One process of one machine since its last boot."""

    pid: int
    started: str = ""
    """When it started, in the clock ticks of /proc/<pid>/stat; distinguishes processes that had the same id."""
    machine: str = ""
    """`this_machine`, where `pid` is valid; empty where the system does not say."""
    host: str = ""
    """`this_host`, the same after a boot; empty where the system does not say."""

    @classmethod
    def here(cls) -> Self:
        """The calling process."""
        return cls(pid=os.getpid(), started=start_of(os.getpid()), machine=this_machine(), host=this_host())

    def alive(self) -> bool | None:
        """Whether the process is alive; None when it runs on another machine or in another container.

        One that has ended is dead, although its parent has not taken its exit code yet.
        """
        here = this_machine()
        if not self.machine or not here:
            return None
        if self.machine != here:
            booted_since = self.machine.split()[0] != here.split()[0] and self.host and self.host == this_host()
            return False if booted_since else None
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:  # another user's process
            pass
        fields = status_of(self.pid)
        if not fields:
            return True
        return fields[STATE] not in ENDED and self.started in ("", fields[START])


def this_machine() -> str:
    """Boot id and process namespace: host names repeat among containers, and process ids after a boot."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return ""


def this_host() -> str:
    """Name and id of this installation of the system; empty without an id."""
    try:
        installation = Path("/etc/machine-id").read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ""
    return f"{socket.gethostname()} {installation}" if installation else ""


def start_of(pid: int) -> str:
    """When a process started; empty where the system does not say."""
    fields = status_of(pid)
    return fields[START] if fields else ""


def status_of(pid: int) -> list[str]:
    """What /proc/<pid>/stat says after the name of the program; empty where the system does not say."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return []
    return fields if len(fields) > START else []
