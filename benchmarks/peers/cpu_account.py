"""CpuAccount: the CPU seconds of a process and of everything that it starts, by a control group of Linux.

`getrusage` knows only processes that were waited for, and Ray's workers are not.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

__all__ = ["CpuAccount", "cpu_account"]

MOUNT = Path("/sys/fs/cgroup")


@dataclass(frozen=True, kw_only=True, slots=True)
class CpuAccount:
    """A control group."""

    folder: Path
    usage: str
    """Its file with the time: `cpu.stat` of version 2, `cpuacct.usage` of version 1."""

    def seconds(self) -> float:
        """CPU seconds of its processes so far, of those that have ended too."""
        text = (self.folder / self.usage).read_text(encoding="ascii")
        return int(text) / 1e9 if self.usage == "cpuacct.usage" else int(text.split()[1]) / 1e6


@contextmanager
def cpu_account() -> Iterator[CpuAccount | None]:
    """A control group of this process and what it starts; None where this user may make none."""
    for parent, usage in ((MOUNT / "cpuacct", "cpuacct.usage"), (MOUNT, "cpu.stat")):
        folder = parent / f"contrast-sweep-{os.getpid()}"
        try:
            folder.mkdir()
        except OSError:
            continue
        try:
            if not (folder / usage).exists():
                continue
            (folder / "cgroup.procs").write_text(str(os.getpid()), encoding="ascii")
            yield CpuAccount(folder=folder, usage=usage)
            return
        finally:
            with suppress(OSError):
                (parent / "cgroup.procs").write_text(str(os.getpid()), encoding="ascii")
            with suppress(OSError):  # a process that has just been killed
                folder.rmdir()
    yield None
