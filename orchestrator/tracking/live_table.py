"""TableTracker: keeps a provisional table while the sweep runs."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress

from orchestrator.errors import StoreError, StyleError
from orchestrator.running.task import Task
from orchestrator.store.records import AttemptRecord
from orchestrator.store.sweep_results import SweepResults
from orchestrator.tracking.paced_tracker import PacedTracker

__all__ = ["TableTracker"]


class TableTracker(PacedTracker):
    """Rewrites the tables as trials end, at most every `pause_seconds`; the sweep itself writes the final ones."""

    def __init__(
        self,
        write: Callable[[SweepResults], object],
        pause_seconds: float = 5.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`write` writes the tables of a sweep: `reports.write.write_reports`, bound to a folder."""
        super().__init__(pause_seconds, clock)
        self.write = write

    def ended(self, task: Task, record: AttemptRecord) -> None:
        """Rewrite the tables, unless that was done just now."""
        super().ended(task, record)
        if self.is_due():
            with suppress(StoreError, StyleError, OSError):  # the end of the sweep says what is wrong
                self.write(self.results)
