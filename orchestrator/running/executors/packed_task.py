"""PackedTask: a task as it travels through Tune to a worker; and the keys of what they tell each other."""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # every worker imports this module
    from orchestrator.running.task import Task

__all__ = ["IDLE", "NODE", "TASK", "PackedTask"]

NODE, IDLE = "node", "idle"
"""Keys of a worker's report, besides those of a trial's process."""

TASK = "packed_task"
"""Key of a Tune trial's config."""


@dataclass(frozen=True, slots=True, repr=False)
class PackedTask:
    """A pickled task, because Tune copies a trial's config, sends it back with every report and writes it to disk."""

    index: int
    """Number of the task in `InFlight`."""
    content: bytes

    @property
    def task(self) -> Task:
        """The task itself."""
        task: Task = pickle.loads(self.content)  # noqa: S301 - pickled by our own driver
        return task

    def __repr__(self) -> str:
        """Short, because Tune puts it into the trial's name."""
        return str(self.index)
