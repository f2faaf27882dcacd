"""Task: one attempt at one trial on its way to a worker, and the share of a machine that it takes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from orchestrator.store.records import AttemptRecord, Point, State
from trainer.config import Runtime, TrainConfig

__all__ = ["Share", "StopTrial", "Task", "Work"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Share:
    """What one trial takes of a machine, or what a cluster has."""

    cpus: float = 1.0
    gpus: float = 0.0

    def fits(self, room: Share) -> bool:
        """Whether this fits into `room`, up to rounding."""
        return self.cpus <= room.cpus + 1e-6 and self.gpus <= room.gpus + 1e-6

    def __add__(self, other: Share) -> Share:
        return Share(cpus=self.cpus + other.cpus, gpus=self.gpus + other.gpus)

    def __sub__(self, other: Share) -> Share:
        return Share(cpus=self.cpus - other.cpus, gpus=self.gpus - other.gpus)


@dataclass(frozen=True, kw_only=True, slots=True)
class Task:
    """One attempt at one trial, ready to be sent to a worker."""

    trial_id: str
    attempt: int
    config: TrainConfig
    runtime: Runtime
    workdir: Path
    """Folder for checkpoints; must be reachable from every node."""
    share: Share = Share()
    avoid: tuple[str, ...] = ()
    """Ids of nodes that lost an earlier attempt; kept free of this one while others are alive."""
    run_dir: str = ""
    """The record store, where checkpoints of an object store are fetched from; empty: nothing to fetch."""
    probe: bool = False
    """Not the trial itself but a few steps of it, to see what it needs: `probe/...` metrics, nothing kept."""


class StopTrial(BaseException):
    """Raised by a worker's `report` to end the attempt with `state`; no Exception, so that no trial swallows it."""

    def __init__(self, state: State) -> None:
        super().__init__(state.value)
        self.state = state


Work = Callable[[Task, Callable[[Point], None]], AttemptRecord]
"""What a worker does with a task: `orchestrator.running.worker.run_trial`; tests of executors pass a quicker one."""
