"""The folder in which a private Ray cluster writes its sessions: sockets, logs, its token. Imports no Ray."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from trainer.own_folder import claim, make_temporary, remove, remove_stale, temporary_root

__all__ = ["LONGEST_PARENT", "remove_stale_sessions", "session_folder", "session_parent"]

LONGEST_PARENT = 107 - len("/ray-12345678/r/session_2026-11-27_12-34-56_123456_1234567/sockets/plasma_store")
"""Bytes of the path below which Ray can have its sockets; Linux allows 107 for each."""

REMOVAL_SECONDS = 5.0
"""How long the last processes of a cluster may write into its folder after its end."""


@contextmanager
def session_folder() -> Iterator[Path]:
    """A new folder of this process for a private cluster. Raises OSError where none can be made."""
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
    """RAY_TMPDIR, or this user's temporary folders, or those in /tmp: the first whose path is short enough for sockets.

    Raises ForeignFolderError, OSError.
    """
    if given := os.environ.get("RAY_TMPDIR"):
        return Path(given)
    usual = temporary_root()
    short = usual if len(os.fsencode(usual)) <= LONGEST_PARENT else Path("/tmp") / usual.name  # noqa: S108 - `claim` checks
    return claim(short, "RAY_TMPDIR")


def remove_stale_sessions() -> None:
    """Remove the folders of clusters whose process was killed; those that cannot be removed stay."""
    remove_stale()
    with suppress(OSError):
        remove_stale(session_parent())
