"""Task: one attempt at a trial, ready for a worker; Share: the part of a machine that it takes."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from orchestrator.store.attempt_record import AttemptRecord, Point, State
from orchestrator.workload.loading import WorkloadSource, load, workload_of
from orchestrator.workload.runtime import Runtime

__all__ = ["Share", "StopTrial", "Task", "Work"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Share:
    """CPUs and GPUs: what a trial takes, or what a cluster has."""

    cpus: float = 1.0
    gpus: float = 0.0

    def fits(self, available: Share) -> bool:
        """Whether this fits into `available`, up to rounding."""
        return self.cpus <= available.cpus + 1e-6 and self.gpus <= available.gpus + 1e-6

    def __add__(self, other: Share) -> Share:
        return Share(cpus=self.cpus + other.cpus, gpus=self.gpus + other.gpus)

    def __sub__(self, other: Share) -> Share:
        return Share(cpus=self.cpus - other.cpus, gpus=self.gpus - other.gpus)


@dataclass(frozen=True, kw_only=True, slots=True)
class Task:
    """One attempt at a trial, ready to be sent to a worker."""

    trial_id: str
    attempt: int
    """1 for the first; 0 for a probe."""
    config: Any
    """Of the type of its workload (`workload_of`)."""
    runtime: Runtime
    workdir: Path
    """Folder for checkpoints; every node must reach it."""
    share: Share = Share()
    avoid_nodes: tuple[str, ...] = ()
    """Ids of nodes that lost an earlier attempt; not used while other nodes are alive."""
    run_dir: str = ""
    """Run directory, an absolute path or a URL: a worker writes its pixel counts per image there, and fetches
    checkpoints when it is an object store. Empty: neither."""
    probe: tuple[Any, ...] = ()
    """Not empty: only a few steps of each of these, to measure their memory. The metrics of number i are
    `probe/.../i`, and nothing is recorded."""

    def __reduce__(self) -> tuple[Any, ...]:
        """The workload travels along, and is loaded before the configs, whose types it defines."""
        content = {item.name: getattr(self, item.name) for item in fields(self)}
        return unpacked, (workload_of(self.config).source, pickle.dumps(content))


def unpacked(source: WorkloadSource, content: bytes) -> Task:
    """The task that was pickled. Raises WorkloadError for a workload that cannot be loaded here."""
    load(source)
    return Task(**pickle.loads(content))  # noqa: S301 - as the executor itself does


class StopTrial(BaseException):
    """Raised by a worker's `report` to end the attempt with `state`; not an Exception, so that no trial catches it."""

    def __init__(self, state: State) -> None:
        super().__init__(state.value)
        self.state = state


Work = Callable[[Task, Callable[[Point], None]], AttemptRecord]
"""What a worker does with a task: `orchestrator.running.worker.run_trial`; tests of executors pass a faster one."""
