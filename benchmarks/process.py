"""Runs a measurement in a fresh process and an empty folder, so that it starts cold and leaves nothing behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from orchestrator.machine.own_folder import temporary_folder

__all__ = ["PROJECT", "cpu_seconds", "environment", "forked", "measure_apart", "preload_trainer"]

PROJECT = Path(__file__).resolve().parents[1]


def environment() -> dict[str, str]:
    """The environment of this process, with this project first on the Python path."""
    path = os.pathsep.join(filter(None, [str(PROJECT), os.environ.get("PYTHONPATH")]))
    return {**os.environ, "PYTHONPATH": path}


def measure_apart(module: str, *arguments: object) -> Any:
    """The last line that `python -m module arguments` prints, read as JSON.

    Raises RuntimeError with the last lines of stderr if the process fails.
    """
    command = [sys.executable, "-m", module, *map(str, arguments)]
    with temporary_folder("benchmark") as folder:
        done = subprocess.run(command, cwd=folder, env=environment(), capture_output=True, text=True)  # noqa: S603
    if done.returncode != 0:
        raise RuntimeError(f"{module} {' '.join(command[3:])}: " + " | ".join(done.stderr.splitlines()[-3:]))
    return json.loads(done.stdout.splitlines()[-1])


def forked(action: Callable[[], Any]) -> Any:
    """What `action` returns in a fork of this process, through JSON. Raises RuntimeError if the fork fails."""
    answers, answer = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.close(answers)
            with os.fdopen(answer, "w") as stream:
                json.dump(action(), stream)
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    os.close(answer)
    with os.fdopen(answers) as stream:
        text = stream.read()
    _, status = os.waitpid(child, 0)
    if status != 0:
        raise RuntimeError(f"a fork ended with status {os.waitstatus_to_exitcode(status)}")
    return json.loads(text)


def preload_trainer() -> None:
    """Do what the fork server of a node does before it forks trials of the built-in trainer."""
    from orchestrator.running.fork_server.preload import modules_of, preload
    from orchestrator.workload.loading import built_in

    preload(modules_of(built_in()))


def cpu_seconds(*processes: subprocess.Popen[bytes] | None) -> float:
    """CPU seconds that this process and the running `processes` have used so far in all threads. Linux only."""
    pids = [os.getpid(), *(process.pid for process in processes if process is not None)]
    ticks = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])  # utime and stime, fields 14 and 15 of proc(5)
    return ticks / os.sysconf("SC_CLK_TCK")
