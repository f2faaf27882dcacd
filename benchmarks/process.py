"""A process of its own: what is measured there starts cold, in an empty folder, and can leave nothing behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

__all__ = ["PROJECT", "cpu_seconds", "environment", "measure_apart"]

PROJECT = Path(__file__).resolve().parents[1]


def environment() -> dict[str, str]:
    """That of this process, with the source of this project first."""
    return {**os.environ, "PYTHONPATH": str(PROJECT)}


def measure_apart(module: str, *arguments: object) -> Any:
    """What `python -m module arguments` prints as its last line, as JSON.

    Raises RuntimeError with the last lines of stderr when it fails.
    """
    command = [sys.executable, "-m", module, *map(str, arguments)]
    with tempfile.TemporaryDirectory(prefix="benchmark_") as folder:
        done = subprocess.run(command, cwd=folder, env=environment(), capture_output=True, text=True)  # noqa: S603
    if done.returncode != 0:
        raise RuntimeError(f"{module} {' '.join(command[3:])}: " + " | ".join(done.stderr.splitlines()[-3:]))
    return json.loads(done.stdout.splitlines()[-1])


def cpu_seconds(*processes: subprocess.Popen[bytes] | None) -> float:
    """What this process and `processes`, which are running, have spent so far on all their threads; Linux."""
    pids = [os.getpid(), *(process.pid for process in processes if process is not None)]
    ticks = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])  # utime and stime, the 14th and 15th of proc(5)
    return ticks / os.sysconf("SC_CLK_TCK")
