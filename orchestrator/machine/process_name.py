"""The name of this process in `ps -o comm`, `top` and `nvidia-smi`."""

from __future__ import annotations

import ctypes
import sys

__all__ = ["LONGEST", "name_process"]

PR_SET_NAME = 15
"""Of prctl(2)."""
LONGEST = 15
"""Bytes that Linux keeps."""


def name_process(name: str) -> None:
    """Name this process; on systems other than Linux it keeps the name of its program."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_NAME, name.encode()[:LONGEST])
