"""run_trial: runs one task in a worker process; the only place that calls the trainer."""

from __future__ import annotations

import logging
import os
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

from orchestrator.errors import StoreError
from orchestrator.running.classify import classify, spoils_process
from orchestrator.running.failures import DISK_ERROR, sign
from orchestrator.running.task import StopTrial, Task
from orchestrator.store.disk_errors import disk_error, disk_remedy
from orchestrator.store.git_state import code_state
from orchestrator.store.records import AttemptRecord, ErrorRecord, Point, State
from trainer.code_digest import present_code
from trainer.config import TrainConfig
from trainer.errors import DeviceBusyError
from trainer.plugins.loading import place_in_plugin

__all__ = ["run_trial"]

CHECKPOINTS = ("last.pt", "best.pt")
"""Files that the trainer writes in the folder of a trial under the name `NAME.partial` first."""

logger = logging.getLogger(__name__)


def run_trial(task: Task, report: Callable[[Point], None], *, inspect: bool = False) -> AttemptRecord:
    """Train one trial and return its record. An exception of the trial becomes part of the record, and is not raised.

    `inspect` opens the debugger where the trial raised.
    """
    started_at = time.time()
    from trainer.gpu_memory import release_memory  # imports torch, which is part of the attempt

    on_gpu = uses_gpu(task)
    facts = {**environment(on_gpu=on_gpu), "arithmetic": arithmetic_of(task.config, on_gpu=on_gpu)}
    metrics: Mapping[str, float] = {}
    files: Mapping[str, str] = {}
    error: ErrorRecord | None = None
    state = State.DONE
    try:
        if task.probe:
            metrics = probe_trial(task)
        else:
            metrics, files, used = train_trial(task, report)
            facts = {**facts, **used}
    except StopTrial as stop:
        state = stop.state
    except Exception as failure:
        state, error = classify(failure), describe(failure, task.workdir)
        remove_partial_files(task.workdir)
        if inspect:
            pdb.post_mortem(failure.__traceback__)
    release_memory()  # while this process waits for its next trial, others may use it
    return AttemptRecord(
        trial_id=task.trial_id,
        attempt=task.attempt,
        state=state,
        started_at=started_at,
        ended_at=time.time(),
        metrics=metrics,
        error=error,
        environment=facts,
        resources=asdict(task.share),
        files=files,
    )


def train_trial(
    task: Task, report: Callable[[Point], None]
) -> tuple[Mapping[str, float], Mapping[str, str], Mapping[str, str]]:
    """Train; returns the final metrics, the SHA-256 of the files for the reports by name, and facts of the environment.

    The facts are `code` and `loader` of the `TrainResult`. Checkpoints are copied to an object store as they are
    written.
    """
    from orchestrator.store.checkpoint_sync import fetch_checkpoints, upload_checkpoints
    from orchestrator.store.image_counts import write_image_counts
    from orchestrator.store.run_directory import RunDirectory
    from trainer.run import train

    directory = RunDirectory(task.run_dir) if task.run_dir else None
    uploaded = checkpoint_time(task.workdir)

    def upload() -> None:
        nonlocal uploaded
        if directory is not None and (written := checkpoint_time(task.workdir)) != uploaded:
            uploaded = written
            upload_checkpoints(directory, task.trial_id, task.workdir)

    def progress(step: int, values: dict[str, float]) -> None:
        metrics = {**values, **memory_in_use()} if "val/miou" in values else values
        report(Point(step=step, metrics=metrics, time=time.time(), attempt=task.attempt))
        upload()

    if directory is not None:
        fetch_checkpoints(directory, task.trial_id, task.workdir)
    try:
        result = train(task.config, task.runtime, task.workdir, progress)
    finally:
        upload()
    used = {"code": result.code, "loader": result.loader}
    if directory is None or result.count_NCK is None:
        return result.metrics, {}, used
    counts, names = result.count_NCK.numpy(), result.class_names
    files = write_image_counts(directory, task.trial_id, task.attempt, counts, names)
    return result.metrics, files, used


def memory_in_use() -> dict[str, float]:
    """Memory of this process in GB (1e9 bytes): `system/rss_gb`, and its peak on a GPU, `system/gpu_memory_gb`."""
    import torch

    memory = {}
    with suppress(OSError, ValueError, IndexError):  # a system without /proc
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        memory["system/rss_gb"] = pages * resource.getpagesize() / 1e9
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        memory["system/gpu_memory_gb"] = torch.cuda.max_memory_allocated() / 1e9
    return memory


def checkpoint_time(workdir: Path) -> int:
    """When the last checkpoint was written, in nanoseconds since the epoch; 0 without a checkpoint."""
    try:
        return (workdir / "last.pt").stat().st_mtime_ns
    except OSError:
        return 0


def probe_trial(task: Task) -> Mapping[str, float]:
    """The memory that a few steps of each configuration take, as metrics `probe/.../i`; none for one that fails."""
    from trainer.probe import probe

    metrics: dict[str, float] = {}
    for index, config in enumerate(task.probe):
        try:
            measured = probe(config, task.runtime)
        except Exception as failure:  # its trials get a whole GPU, and their records say what is wrong
            if isinstance(failure, DeviceBusyError) or spoils_process(describe(failure)):
                raise  # the other shapes would fail too
            logger.warning("a probe failed: %s", failure)
        else:
            metrics.update({f"{name}/{index}": value for name, value in measured.items()})
    return metrics


def describe(failure: Exception, workdir: Path | None = None) -> ErrorRecord:
    """An exception as a record, with its signature; one of the disk of `workdir` with its remedy."""
    kind, message = type(failure).__name__, " ".join(str(failure).split()) or type(failure).__name__
    full = disk_error(failure)
    if full is not None and workdir is not None:
        kind = DISK_ERROR
        if not isinstance(failure, StoreError):  # which has its remedy
            path = os.fsdecode(full.filename) if full.filename else str(workdir)
            message = f"{path}: cannot be written ({full.strerror}); {disk_remedy(full, path)}"
    place = place_in_plugin(failure)
    if place and not message.startswith(place):
        message = f"{place}: {message}"
    trace = "".join(traceback.format_exception(failure))
    return sign(ErrorRecord(kind=kind, message=message, traceback=trace))


def remove_partial_files(workdir: Path) -> None:
    """Remove what a failed attempt has left of a checkpoint: on a full disk, its record needs the space."""
    for name in CHECKPOINTS:
        with suppress(OSError):
            (workdir / f"{name}.partial").unlink()


@cache
def environment(*, on_gpu: bool) -> dict[str, str]:
    """Code, machine and versions: with the arithmetic of the trial, what a reader needs to compare two attempts."""
    import torch

    from trainer.data.reading.decode import decoder_version

    return {
        **code_state().facts(),
        "code": present_code(),
        "host": socket.gethostname(),
        "device": torch.cuda.get_device_name() if on_gpu else f"{platform.machine()} CPU",
        "decoder": decoder_version(jpeg=True),
        "torch": torch.__version__,
        "cuda": torch.version.cuda or "",
        "cudnn": str(torch.backends.cudnn.version() or "") if on_gpu else "",  # type: ignore[no-untyped-call] # opens CUDA
        "python": platform.python_version(),
    }


def uses_gpu(task: Task) -> bool:
    """Whether the task's trial runs on a GPU; a trial on the CPU opens none."""
    import torch

    return task.runtime.device != "cpu" and torch.cuda.is_available()


def arithmetic_of(config: TrainConfig, *, on_gpu: bool) -> str:
    """How the steps of a trial are computed: precision, TF32, layout and optimiser."""
    import torch

    from trainer.arithmetic import describe_arithmetic

    return describe_arithmetic(config, torch.device("cuda" if on_gpu else "cpu"))
