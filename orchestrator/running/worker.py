"""run_trial: runs one task in a worker process; the only place that calls the workload."""

from __future__ import annotations

import logging
import os
import pdb
import platform
import resource
import socket
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict
from operator import index
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.errors import StoreError
from orchestrator.machine.one_line import in_one_line
from orchestrator.plugins.loading import place_in_plugin
from orchestrator.running.classify import classify, spoils_process
from orchestrator.running.failures import DISK_ERROR, sign
from orchestrator.running.plain_values import plain_numbers, plain_texts
from orchestrator.running.task import StopTrial, Task
from orchestrator.store.attempt_record import AttemptRecord, ErrorRecord, Point, State
from orchestrator.store.disk_errors import disk_error, disk_remedy
from orchestrator.store.git_state import code_state
from orchestrator.workload.loaded import LoadedWorkload
from orchestrator.workload.loading import workload_of

if TYPE_CHECKING:
    from orchestrator.store.run_directory import RunDirectory

__all__ = ["run_trial"]

CHECKPOINTS = ("last.pt", "best.pt")
"""Files that the trainer writes in the folder of a trial under the name `NAME.partial` first."""

DEVICE_BUSY = "DeviceBusyError"
"""Name of the exception of a workload whose device has no room."""

logger = logging.getLogger(__name__)


def run_trial(task: Task, report: Callable[[Point], None], *, inspect: bool = False) -> AttemptRecord:
    """Train one trial and return its record. An exception of the trial becomes part of the record, and is not raised.

    `inspect` opens the debugger where the trial raised.
    """
    started_at = time.time()
    workload = workload_of(task.config)
    facts = environment(workload, task)
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

    The facts are those of the `TrialResult`. Checkpoints are copied to an object store as they are written.
    """
    from orchestrator.store.image_counts import PICTURE_FOLDER, write_image_counts
    from orchestrator.store.run_directory import RunDirectory

    workload = workload_of(task.config)
    watched = workload.watched_metric.name
    directory = RunDirectory(task.run_dir) if task.run_dir else None
    copies = TrialFolder(task, directory) if workload.is_built_in else OwnFolder(task, workload, directory)

    def progress(step: int, values: dict[str, float]) -> None:
        metrics = {**values, **memory_in_use()} if watched in values else values
        report(Point(step=index(step), metrics=plain_numbers(metrics), time=time.time(), attempt=task.attempt))
        copies.upload()

    found = copies.open()
    try:
        result = workload.workload.train(task.config, task.runtime, task.workdir, progress)
    finally:
        copies.upload(ended=True)
    metrics, used = plain_numbers(result.metrics), {**found, **plain_texts(result.facts)}
    if directory is None:
        return metrics, {}, used
    folder = task.workdir / PICTURE_FOLDER
    drawn = sorted([*folder.glob("*.png"), *folder.glob("compare_*.jpg")]) if workload.is_built_in else []
    pictures = {path.name: path.read_bytes() for path in drawn}
    files = write_image_counts(directory, task.trial_id, task.attempt, result.count_NCK, result.class_names, pictures)
    with suppress(OSError):  # a user's own file in it keeps the folder
        for path in drawn:
            path.unlink()
        if drawn:
            folder.rmdir()
    return metrics, files, used


class TrialFolder:
    """Copies the checkpoints of the built-in trainer, which works in the folder of the trial."""

    def __init__(self, task: Task, directory: RunDirectory | None) -> None:
        self.task = task
        self.directory = directory
        self.uploaded = checkpoint_time(task.workdir)

    def open(self) -> Mapping[str, str]:
        """Before training: fetch what an earlier attempt has left; the trainer says itself of which code it is."""
        from orchestrator.store.checkpoint_sync import fetch_checkpoints

        if self.directory is not None:
            fetch_checkpoints(self.directory, self.task.trial_id, self.task.workdir)
        return {}

    def upload(self, *, ended: bool = False) -> None:
        """Copy what is new once there is another checkpoint."""
        from orchestrator.store.checkpoint_sync import upload_checkpoints

        del ended
        written = checkpoint_time(self.task.workdir)
        if self.directory is not None and written != self.uploaded:
            self.uploaded = written
            upload_checkpoints(self.directory, self.task.trial_id, self.task.workdir)


class OwnFolder:
    """Copies everything that any other trainer writes in its folder."""

    def __init__(self, task: Task, workload: LoadedWorkload, directory: RunDirectory | None) -> None:
        from orchestrator.store.work_folder import WorkFolder

        self.digests = workload.code.digests()
        self.accepted = (*self.digests, *task.runtime.accepted_code)
        self.folder = WorkFolder(directory, task.trial_id, task.workdir)

    def open(self) -> Mapping[str, str]:
        """Before training: fetch what an earlier attempt with accepted code has left; returns the fact `code`."""
        return {"code": self.folder.open(self.digests[0], self.accepted)}

    def upload(self, *, ended: bool = False) -> None:
        """Copy what is new."""
        self.folder.upload(ended=ended)


def memory_in_use() -> dict[str, float]:
    """Memory of this process in GB (1e9 bytes): `system/rss_gb`, and its peak on a GPU, `system/gpu_memory_gb`."""
    memory = {}
    with suppress(OSError, ValueError, IndexError):  # a system without /proc
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        memory["system/rss_gb"] = pages * resource.getpagesize() / 1e9
    torch: Any = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
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
    metrics: dict[str, float] = {}
    probe = workload_of(task.config).extras.probe
    if probe is None:
        return metrics
    for number, config in enumerate(task.probe):
        try:
            measured = probe(config, task.runtime)
        except Exception as failure:  # its trials get a whole GPU, and their records say what is wrong
            if type(failure).__name__ == DEVICE_BUSY or spoils_process(describe(failure)):
                raise  # the other shapes would fail too
            logger.warning("a probe failed: %s", failure)
        else:
            metrics.update({f"{name}/{number}": value for name, value in measured.items()})
    return metrics


def describe(failure: Exception, workdir: Path | None = None) -> ErrorRecord:
    """An exception as a record, with its signature; one of the disk of `workdir` with its remedy."""
    kind, message = type(failure).__name__, in_one_line(failure) or type(failure).__name__
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


def environment(workload: LoadedWorkload, task: Task) -> dict[str, str]:
    """Code, machine and versions, and how a trial is computed: what a reader needs to compare two attempts."""
    further = workload.extras.environment
    return {
        **code_state().facts(),
        "code": workload.code.digests()[0],
        "host": socket.gethostname(),
        "device": f"{platform.machine()} CPU",
        **({} if further is None else plain_texts(further(task.config, task.runtime))),
        "python": platform.python_version(),
    }
