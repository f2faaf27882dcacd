"""run_trial: what happens inside a worker process; the only place that calls the trainer."""

from __future__ import annotations

import platform
import socket
import subprocess
import time
import traceback
from collections.abc import Callable
from functools import cache
from pathlib import Path

from orchestrator.execution.base import Task
from orchestrator.records import AttemptRecord, ErrorRecord, Point, State

__all__ = ["run_trial"]


def run_trial(task: Task, report: Callable[[Point], None]) -> AttemptRecord:
    """Train one trial and say how it ended. Never raises for what goes wrong inside the trial (house rule 4)."""
    started_at = time.time()
    metrics: dict[str, float] = {}
    error: ErrorRecord | None = None
    try:
        from trainer.run import train

        def progress(step: int, values: dict[str, float]) -> None:
            report(Point(step=step, metrics=values, time=time.time(), attempt=task.attempt))

        result = train(task.config, task.runtime, task.workdir, progress)
        metrics = dict(result.metrics)
    except Exception as failure:
        message = " ".join(str(failure).split()) or type(failure).__name__
        error = ErrorRecord(kind=type(failure).__name__, message=message, traceback=traceback.format_exc())
    return AttemptRecord(
        trial_id=task.trial_id,
        attempt=task.attempt,
        state=State.FAILED if error else State.DONE,
        started_at=started_at,
        ended_at=time.time(),
        metrics=metrics,
        error=error,
        environment=environment(),
    )


@cache
def environment() -> dict[str, str]:
    """What a reader needs to judge whether two attempts are comparable: code, machine, versions."""
    import torch

    project = Path(__file__).resolve().parent.parent
    status = git(project, "status", "--porcelain", "--untracked-files=no")
    return {
        "commit": git(project, "rev-parse", "HEAD"),
        "dirty": "" if not status else "yes",
        "host": socket.gethostname(),
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else platform.machine() + " CPU",
        "torch": torch.__version__,
        "python": platform.python_version(),
    }


def git(folder: Path, *arguments: str) -> str:
    """Output of a git command in `folder`; empty where there is no repository or no git."""
    command = ["git", "-C", str(folder), *arguments]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()  # noqa: S603 - fixed arguments
    except (OSError, subprocess.SubprocessError):
        return ""
