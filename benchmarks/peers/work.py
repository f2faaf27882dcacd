"""The work of every peer: trials of half a CPU second that report five times, and a journal of what they did.

A process that trains imports PyTorch, so the first trial of a process does (with --quick something small).
"""

from __future__ import annotations

import importlib
import json
import os
import time
from collections.abc import Callable
from pathlib import Path

__all__ = ["JOURNAL", "REPORTS", "SLOTS", "TRIALS", "WORK_SECONDS", "Event", "read_journal", "train", "unread"]

JOURNAL = "PEERS_JOURNAL"
"""Environment variable: the file that trials append to. It survives whatever kills them."""
TRIALS = int(os.environ.get("PEERS_TRIALS", "40"))
SLOTS = 2
REPORTS = 5
WORK_SECONDS = float(os.environ.get("PEERS_WORK_SECONDS", "0.5"))
"""CPU seconds of a trial, all of them on its own thread."""
LIBRARY = os.environ.get("PEERS_LIBRARY", "torch")
"""The module that trials need; its import is part of the first trial of a process."""

Event = dict[str, float | int | str]
"""`event` (`start`, `step` or `end`), `trial`, and `time` in seconds since the epoch."""


def train(trial: int, report: Callable[[int, float], object]) -> float:
    """Train: half a second of work, and five calls of `report` with a step and a score; returns the final score."""
    importlib.import_module(LIBRARY)
    write_journal("start", trial)
    score = 0.0
    for step in range(1, REPORTS + 1):
        began = time.thread_time()
        while time.thread_time() - began < WORK_SECONDS / REPORTS:
            pass
        score = step / REPORTS - abs(trial - TRIALS / 2) / TRIALS
        if step == 1:
            write_journal("step", trial)
        report(step, score)
    write_journal("end", trial)
    return score


def unread(step: int, score: float) -> None:
    """The `report` of a tool that takes no reports."""


def write_journal(event: str, trial: int) -> None:
    """Append a line with one write, so that no process's line is mixed with another's."""
    line = json.dumps({"event": event, "trial": trial, "time": time.time()}) + "\n"
    handle = os.open(os.environ[JOURNAL], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(handle, line.encode())
    finally:
        os.close(handle)


def read_journal(path: Path) -> list[Event]:
    """All events so far; none if no trial has started."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
