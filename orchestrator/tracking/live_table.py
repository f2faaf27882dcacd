"""TableTracker: keeps a provisional table while the sweep runs."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from orchestrator.errors import StoreError, StyleError
from orchestrator.running.task import Task
from orchestrator.store.records import AttemptRecord, Point, SweepRecord
from orchestrator.store.sweep_results import SweepResults

__all__ = ["TableTracker"]


class TableTracker:
    """Rewrites the tables as trials end, at most every `pause_seconds`; the sweep itself writes the final ones."""

    def __init__(
        self,
        write: Callable[[SweepResults], object],
        pause_seconds: float = 5.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`write` writes the tables of a sweep: `reports.write.write_reports`, bound to a folder."""
        self.write = write
        self.pause_seconds = pause_seconds
        self.clock = clock
        self.written_at = -pause_seconds
        self.outcomes: dict[str, AttemptRecord] = {}
        self.sweep: SweepRecord

    def planned(self, sweep: SweepRecord) -> None:
        """The plan has grown."""
        self.sweep = sweep

    def begin(self, sweep: SweepRecord, outcomes: Mapping[str, AttemptRecord]) -> None:
        """Start from the outcomes of earlier runs."""
        self.sweep, self.outcomes = sweep, dict(outcomes)

    def started(self, task: Task) -> None:
        """Nothing to write."""

    def reported(self, task: Task, point: Point) -> None:
        """Nothing to write."""

    def ended(self, task: Task, record: AttemptRecord) -> None:
        """Rewrite the tables, unless that was done just now."""
        self.outcomes[task.trial_id] = record
        now = self.clock()
        if now - self.written_at >= self.pause_seconds:
            self.written_at = now
            with suppress(StoreError, StyleError, OSError):  # the end of the sweep says what is wrong
                self.write(SweepResults(sweep=self.sweep, outcomes=self.outcomes))

    def finish(self, outcomes: Mapping[str, AttemptRecord], artifacts: Mapping[str, Path], completed: bool) -> None:
        """Nothing to write: the final table was written before."""
