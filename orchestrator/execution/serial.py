"""Serial: one task after the other in this process, so that a debugger works."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from orchestrator.execution.base import Listener, Task, Work
from orchestrator.worker import run_trial

__all__ = ["Serial"]


class Serial:
    """The in-process twin of the Ray executor."""

    slots = 1

    def __init__(self, work: Work = run_trial) -> None:
        self.work = work

    def run(self, tasks: Sequence[Task], listener: Listener) -> None:
        """Run the tasks in order."""
        for task in tasks:
            listener.started(task)
            record = self.work(task, partial(listener.reported, task))
            listener.ended(task, record)
