"""Signals to a sweep on Ray: while Ray starts, and from a terminal that closes. They take 40 seconds."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.end_to_end.conftest import attempts, environment, processes_in

pytestmark = pytest.mark.usefixtures("without_figures", "database")

LIMIT_SECONDS = 180
LINE = (sys.executable, "-m", "orchestrator.sweep", "tiny.yaml", "--set", "schedule.steps=4000", "--seeds", "1")
CHILD = "orchestrator.running.executors.child"


def until(condition: Callable[[], object], process: subprocess.Popen[bytes]) -> None:
    """Wait for it while the process lives, a bounded time."""
    deadline = time.monotonic() + LIMIT_SECONDS
    while not condition():
        assert process.poll() is None, f"it has ended with {process.returncode}"
        assert time.monotonic() < deadline
        time.sleep(0.05)


def children_of(pid: int) -> str:
    """Command lines of the child processes."""
    found = ""
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in path.read_text().split():
            found += Path(f"/proc/{child}/cmdline").read_text()
    return found


def hear_hang_up() -> None:
    """In the child: SIGHUP has its default action, also where the tests run under nohup."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


def nothing_is_left(folder: Path) -> bool:
    """Whether all processes of a sweep end in time."""
    deadline = time.monotonic() + 60
    while processes_in(folder) and time.monotonic() < deadline:
        time.sleep(0.2)
    return not processes_in(folder)


@pytest.mark.slow  # a Ray cluster each
def test_sigterm_while_ray_starts_is_a_gentle_end(folder: Path) -> None:
    with subprocess.Popen(LINE, cwd=folder, env=environment(), stderr=subprocess.PIPE) as sweep:
        until(lambda: CHILD in children_of(sweep.pid), sweep)
        sweep.send_signal(signal.SIGTERM)
        _, written = sweep.communicate(timeout=LIMIT_SECONDS)
    assert sweep.returncode == 130, written
    assert written.endswith(b"interrupted; all results so far are kept, and the same command resumes the sweep\n")
    assert b"Traceback" not in written
    assert list(folder.glob("reports/out/*/table.md"))
    assert not attempts(folder), "no trial has started"
    assert nothing_is_left(folder)


@pytest.mark.slow
def test_a_terminal_that_closes_ends_the_sweep_gently(folder: Path) -> None:
    terminal, theirs = pty.openpty()
    line = ["setsid", "--ctty", *LINE]  # which starts no other process: the sweep itself leads the session
    with subprocess.Popen(
        line, cwd=folder, env=environment(), stdin=theirs, stdout=theirs, stderr=theirs, preexec_fn=hear_hang_up
    ) as sweep:
        os.close(theirs)
        until(lambda: list(folder.glob("runs/trials/*/points.jsonl")), sweep)
        os.close(terminal)
        assert sweep.wait(LIMIT_SECONDS) == 130
    assert list(folder.glob("reports/out/*/table.md"))
    states = [record["state"] for records in attempts(folder).values() for record in records]
    assert states
    assert set(states) == {"cancelled"}
    assert nothing_is_left(folder)
