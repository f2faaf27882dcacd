"""Lets a child process end when its parent dies, however that happens."""

from __future__ import annotations

import ctypes
import os
import signal
import sys

__all__ = ["end_with_parent"]

PR_SET_PDEATHSIG = 1
"""Of prctl(2)."""


def end_with_parent(parent: int) -> None:
    """Let Linux kill this process when process `parent` dies, or the thread of it that has started this one.

    On other systems it ends when it next talks to its parent. If the parent is dead by now, this process exits.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
