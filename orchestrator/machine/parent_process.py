"""What a child process does so that it ends with its parent."""

from __future__ import annotations

import ctypes
import os
import signal
import sys

__all__ = ["end_with_parent"]

PR_SET_PDEATHSIG = 1


def end_with_parent(parent: int) -> None:
    """Let Linux kill this process when the process `parent`, which started it, dies; exit if it is dead already.

    On other systems the process has to notice the end of its parent by itself, as the end of a pipe.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit(1)
