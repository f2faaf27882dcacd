"""make_poor: this process sees a file system like BeeGFS, exFAT, CIFS or FUSE, which lack what a local disk has."""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

__all__ = ["make_poor"]


def make_poor(monkeypatch: pytest.MonkeyPatch, number: int) -> list[str]:
    """Let hard links, locks, flushes of folders, renames of folders, modes and times fail with error `number`.

    Returns the names of the calls that failed so far.
    """
    refused: list[str] = []

    def refuse(name: str) -> None:
        refused.append(name)
        raise OSError(number, os.strerror(number))

    def refuse_always(module: Any, name: str) -> None:
        monkeypatch.setattr(module, name, lambda *given, **named: refuse(name))

    def refuse_for_folders(module: Any, name: str) -> None:
        real: Callable[..., Any] = getattr(module, name)

        def maybe(path: Any, *given: Any, **named: Any) -> Any:
            status = os.fstat(path) if isinstance(path, int) else os.lstat(path)
            if stat.S_ISDIR(status.st_mode):
                refuse(name)
            return real(path, *given, **named)

        monkeypatch.setattr(module, name, maybe)

    for module, name in ((os, "link"), (os, "symlink"), (os, "chmod"), (os, "utime"), (fcntl, "flock")):
        refuse_always(module, name)
    for name in ("fsync", "rename", "replace"):
        refuse_for_folders(os, name)
    monkeypatch.setattr(Path, "chmod", lambda *given, **named: refuse("chmod"))
    return refused
