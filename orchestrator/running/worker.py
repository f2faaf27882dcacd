"""run_trial: what happens inside a worker process; the only place that calls the trainer."""

from __future__ import annotations

import pdb
import platform
import resource
import socket
import time
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict
from functools import cache
from pathlib import Path

from orchestrator.running.failures import classify, sign
from orchestrator.running.task import StopTrial, Task
from orchestrator.store.git_state import code_state
from orchestrator.store.records import AttemptRecord, ErrorRecord, Point, State

__all__ = ["run_trial"]


def run_trial(task: Task, report: Callable[[Point], None], *, inspect: bool = False) -> AttemptRecord:
    """Train one trial and say how it ended. Never raises for what goes wrong inside the trial (house rule 4).

    `inspect` opens the debugger where the trial raises, before its record is made.
    """
    started_at = time.time()
    metrics: Mapping[str, float] = {}
    error: ErrorRecord | None = None
    state = State.DONE
    try:
        metrics = measure(task) if task.probe else train_trial(task, report)
    except StopTrial as stop:
        state = stop.state
    except Exception as failure:
        state, error = classify(failure), describe(failure)
        if inspect:
            pdb.post_mortem(failure.__traceback__)
    return AttemptRecord(
        trial_id=task.trial_id,
        attempt=task.attempt,
        state=state,
        started_at=started_at,
        ended_at=time.time(),
        metrics=metrics,
        error=error,
        environment=environment(),
        resources=asdict(task.share),
    )


def train_trial(task: Task, report: Callable[[Point], None]) -> Mapping[str, float]:
    """The final figures of the trial; its checkpoints go to the record store as they are written."""
    from orchestrator.running.gpu_memory import claim
    from orchestrator.store.checkpoint_sync import deliver_checkpoints, fetch_checkpoints
    from trainer.run import train

    delivered = last_written(task.workdir)

    def deliver() -> None:
        nonlocal delivered
        if task.run_dir and (written := last_written(task.workdir)) != delivered:
            delivered = written
            deliver_checkpoints(task.run_dir, task.trial_id, task.workdir)

    def progress(step: int, values: dict[str, float]) -> None:
        measured = {**values, **memory_held()} if "val/miou" in values else values
        report(Point(step=step, metrics=measured, time=time.time(), attempt=task.attempt))
        deliver()

    if task.run_dir:
        fetch_checkpoints(task.run_dir, task.trial_id, task.workdir)
    claim(task.share.gpus)
    try:
        return train(task.config, task.runtime, task.workdir, progress).metrics
    finally:
        deliver()


def memory_held() -> dict[str, float]:
    """Memory of this process, GB: `system/rss_gb`, and where it uses a GPU the peak there, `system/gpu_memory_gb`."""
    import torch

    held = {}
    with suppress(OSError, ValueError, IndexError):  # a system without /proc
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        held["system/rss_gb"] = pages * resource.getpagesize() / 1e9
    if torch.cuda.is_available() and torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        held["system/gpu_memory_gb"] = torch.cuda.max_memory_allocated() / 1e9
    return held


def last_written(workdir: Path) -> int:
    """When the last checkpoint was written, ns; 0 before there is one."""
    try:
        return (workdir / "last.pt").stat().st_mtime_ns
    except OSError:
        return 0


def measure(task: Task) -> Mapping[str, float]:
    """What a few steps of the trial take."""
    from orchestrator.running.gpu_memory import claim
    from trainer.probe import probe

    claim(task.share.gpus)
    return probe(task.config, task.runtime)


def describe(failure: Exception) -> ErrorRecord:
    """An exception as a record, with the signature that failures at the same place share."""
    message = " ".join(str(failure).split()) or type(failure).__name__
    trace = "".join(traceback.format_exception(failure))
    return sign(ErrorRecord(kind=type(failure).__name__, message=message, traceback=trace))


@cache
def environment() -> dict[str, str]:
    """What a reader needs to judge whether two attempts are comparable: code, machine, versions."""
    import torch

    return {
        **code_state().facts(),
        "host": socket.gethostname(),
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else platform.machine() + " CPU",
        "torch": torch.__version__,
        "cuda": torch.version.cuda or "",
        "python": platform.python_version(),
    }
