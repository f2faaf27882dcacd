"""What our processes in interpreters of their own have in common: where they find our code, and how they ended."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

__all__ = ["how_ended", "module_path", "python_path"]

PACKAGES = str(Path(__file__).resolve().parents[2])
"""Folder of our packages."""


def module_path() -> list[str]:
    """`sys.path` of a child that looks for modules where this process does, for ours in their own folder first."""
    return [PACKAGES, *(item for item in sys.path if item != PACKAGES)]


def python_path() -> str:
    """PYTHONPATH of a child that finds our packages, whatever its current folder."""
    return os.pathsep.join(filter(None, [PACKAGES, os.environ.get("PYTHONPATH")]))


def how_ended(code: int) -> str:
    """`killed by SIGKILL`, or `exit code 1`."""
    return f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
