"""PackedTask: a task on its way to a worker."""

from __future__ import annotations

import pickle

from orchestrator.running.task import Task

__all__ = ["PackedTask"]


class PackedTask:
    """A task, wrapped once: Tune copies it, sends it back with every report and writes it down.

    Short to print, because Tune writes the values of a trial into its name.
    """

    __slots__ = ("content", "index")

    def __init__(self, index: int, content: bytes) -> None:
        self.index = index
        self.content = content

    @classmethod
    def wrap(cls, index: int, task: Task) -> PackedTask:
        """A task as a packed_task."""
        return cls(index, pickle.dumps(task))

    @property
    def task(self) -> Task:
        """What is in it."""
        task: Task = pickle.loads(self.content)  # noqa: S301 - wrapped by our own driver
        return task

    def __repr__(self) -> str:
        return str(self.index)

    def __reduce__(self) -> tuple[type[PackedTask], tuple[int, bytes]]:
        return PackedTask, (self.index, self.content)

    def __deepcopy__(self, memo: object) -> PackedTask:
        """Itself: it never changes."""
        return self
