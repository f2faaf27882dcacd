"""The folder in which a private Ray cluster writes its sessions: sockets, logs, its token. Imports no Ray."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from orchestrator.errors import SweepError
from orchestrator.machine.own_folder import claim, make_temporary, remove, remove_stale, temporary_root
from orchestrator.running.executors.socket_folder import socket_folder

__all__ = ["remove_stale_sessions", "session_folder", "session_parent"]

REMOVAL_SECONDS = 5.0
"""How long the last processes of a cluster may write into its folder after its end."""


@contextmanager
def session_folder() -> Iterator[Path]:
    """A new folder of this process for a private cluster. Raises SweepError, OSError."""
    parent = session_parent()
    remove_stale(parent)
    folder = make_temporary("ray", parent)
    try:
        yield folder
    finally:
        ends = time.monotonic() + REMOVAL_SECONDS
        remove(folder)
        while folder.exists() and time.monotonic() < ends:
            time.sleep(0.1)
            remove(folder)


def session_parent() -> Path:
    """The temporary folders of this user, where paths are short enough for sockets. Raises SweepError, OSError."""
    return claim(socket_folder()[0] / temporary_root().name, "RAY_TMPDIR")


def remove_stale_sessions() -> None:
    """Remove the folders of clusters whose process was killed; those that cannot be removed stay."""
    remove_stale()
    with suppress(OSError, SweepError):
        remove_stale(session_parent())
