"""`DeviceFault`, and the file and line where the code is that makes one."""

from __future__ import annotations

import sys
import sysconfig
from functools import cache
from pathlib import Path
from types import FrameType

__all__ = ["DeviceFault", "where"]

ROOT = Path(__file__).parents[2]
INSTALLED = tuple({sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib")})
SIMULATION = tuple(str(Path(__file__).with_name(f"{name}.py")) for name in ("simulated_cuda", "python_backward"))


class DeviceFault(AssertionError):  # noqa: N818 (what it finds is a fault of the code, not of the check)
    """Code that would fail on a CUDA device, or make the host wait for it; the message names file and line."""


def where() -> str:
    """File and line of the innermost code that is neither the simulation nor an installed package."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and is_foreign(frame.f_code.co_filename):
        frame = frame.f_back
    if frame is None:
        return "?"
    return f"{shown_path(frame.f_code.co_filename)}:{frame.f_lineno}"


@cache
def is_foreign(file: str) -> bool:
    """Whether code of `file` is the simulation's, installed or generated."""
    return file in (__file__, *SIMULATION) or file.startswith(("<", *INSTALLED))


@cache
def shown_path(file: str) -> str:
    """`file` from the folder that holds the trainer."""
    path = Path(file)
    return path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else file
