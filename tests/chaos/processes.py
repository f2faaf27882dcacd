"""Processes of a sweep: found by a mark in their environment, or by the folder in which they have files open."""

from __future__ import annotations

import re
import select
from contextlib import suppress
from pathlib import Path

from tests.end_to_end.conftest import processes_in

__all__ = ["KINDS", "MARK", "catches", "children", "has_ended", "of_kind", "processes_of"]

MARK = "CONTRAST_SWEEP_CHAOS"
"""Environment variable that every process of a disturbed sweep inherits."""

KINDS = {
    "driver": re.compile(r"-m orchestrator\.sweep "),
    "mirror": re.compile(r"orchestrator\.tracking\.follower_process"),
    "executor": re.compile(r"orchestrator\.running\.executors\.child "),
    "raylet": re.compile(r"/raylet/raylet "),
    "gcs": re.compile(r"/gcs/gcs_server "),
    "agent": re.compile(r"ray::(Dashboard|RuntimeEnv)Agent|dashboard/agent\.py|runtime_env/agent/main\.py"),
    "worker": re.compile(r"^ray::ImplicitFunc"),
    "fork-server": re.compile(r"<fork-server>$"),
    "trial": re.compile(r"<trial \w+>$"),
}
"""How to tell the processes of a sweep apart by their command lines, and the names that they have given themselves."""


def processes_of(mark: str, *folders: Path) -> dict[int, str]:
    """Command lines and `<names>` of the processes with this mark, or at work below the folders.

    Ray's workers overwrite their environment with their titles, but write their logs below Ray's folder.
    """
    found = processes_in(*folders)
    wanted = f"{MARK}={mark}".encode()
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has just ended, or is somebody else's
            if wanted in (entry / "environ").read_bytes().split(b"\0"):
                found[int(entry.name)] = (entry / "cmdline").read_text().replace("\0", " ")
    named = {pid: f"{line}<{name_of(pid)}>" for pid, line in found.items() if line}  # a zombie has none
    return {pid: line for pid, line in named.items() if not line.endswith("<>")}


def name_of(pid: int) -> str:
    """The name that a process has given itself, or that of its program; empty if it has just ended."""
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def of_kind(kind: str, processes: dict[int, str]) -> list[int]:
    """Ids of the processes of one of KINDS."""
    return sorted(pid for pid, line in processes.items() if KINDS[kind].search(line))


def children(pid: int) -> list[int]:
    """Ids of the child processes of a process."""
    try:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def catches(pid: int, number: int) -> bool:
    """Whether a process has a handler for a signal."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False
    caught = next(line.split()[1] for line in status.splitlines() if line.startswith("SigCgt:"))
    return bool(int(caught, 16) >> (number - 1) & 1)


def has_ended(pidfd: int) -> bool:
    """Whether the process behind a descriptor has ended."""
    return bool(select.select([pidfd], [], [], 0)[0])
