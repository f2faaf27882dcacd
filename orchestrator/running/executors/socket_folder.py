"""Where a private Ray cluster has its folder: among the temporary files, unless their folder's name is too long."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from orchestrator.errors import SweepError

__all__ = ["LONGEST_SOCKET", "socket_folder"]

LONGEST_SOCKET = 107
"""Bytes of a Unix socket's path on Linux."""
RAY_PART = "/session_2026-11-27_23-53-14_123456_4194304/sockets/plasma_store"
"""What Ray adds to its folder, at its longest."""
OWN_PART = f"/contrast-{os.geteuid()}/ray-abcdefgh/ray"
"""What we add: a folder of this user, and in it one of this process."""
SHORT_FOLDERS = ("/tmp", "/var/tmp", "/dev/shm")  # noqa: S108 - only with a folder of this user in it
"""Where else a cluster may be, in the order of preference."""


def socket_folder() -> tuple[Path, int]:
    """The folder in which a private cluster makes its own, and the bytes that its longest socket then has.

    RAY_TMPDIR, else the folder of temporary files; one of `SHORT_FOLDERS` if that is too long for sockets. Raises
    SweepError if none of them can be used.
    """
    wanted = os.environ.get("RAY_TMPDIR") or tempfile.gettempdir()
    for folder in (wanted, *SHORT_FOLDERS):
        if socket_bytes(folder) <= LONGEST_SOCKET and os.access(folder, os.W_OK | os.X_OK):
            return Path(folder), socket_bytes(wanted)
    raise SweepError(
        f"{wanted}: too long for Ray's sockets, which have {socket_bytes(wanted)} of {LONGEST_SOCKET} bytes there, and "
        f"{', '.join(SHORT_FOLDERS)} cannot be written; set RAY_TMPDIR to a folder with a shorter name"
    )


def socket_bytes(folder: str) -> int:
    """Length of the longest path of a socket below `folder`."""
    return len(os.fsencode(os.path.abspath(folder) + OWN_PART + RAY_PART))  # noqa: PTH100
