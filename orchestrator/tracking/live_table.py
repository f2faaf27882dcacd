"""TableTracker: keeps a provisional table and the page of a running sweep."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress

from orchestrator.errors import StoreError, StyleError
from orchestrator.running.task import Task
from orchestrator.store.attempt_record import AttemptRecord, Point
from orchestrator.store.running_sweep import RunningSweep
from orchestrator.store.sweep_record import SweepRecord
from orchestrator.store.sweep_results import SweepResults
from orchestrator.tracking.paced_tracker import PacedTracker
from orchestrator.tracking.recent_points import RecentPoints

__all__ = ["TableTracker"]

MOST_SECONDS = 10.0
"""While trials report, the page is at most this old."""
PAUSES = 50.0
"""A pause is at least this number of times as long as writing took: of tables that take seconds, 2% of the time."""
LONGEST_PAUSE = 300.0
"""Seconds; a page that is much older says that nobody writes it any more."""


class TableTracker(PacedTracker):
    """Rewrites tables and page after the first report, as trials end, and every few seconds while trials report.

    At most every `pause_seconds`, and less often where that takes long. The sweep itself writes the final ones.
    """

    def __init__(
        self,
        write: Callable[[SweepResults, RunningSweep, bool], object],
        pause_seconds: float = 5.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`write` writes the tables of a sweep and its page; with True as the last argument, the page alone."""
        super().__init__(pause_seconds, clock)
        self.write = write
        self.shortest = pause_seconds
        self.changed = False
        """Whether the tables lack something that is known."""
        self.imported = False
        """Whether the first write is over, which also imports what writes."""
        self.points: RecentPoints

    def begin(self, sweep: SweepRecord, outcomes: Mapping[str, AttemptRecord]) -> None:
        """Nothing is written yet: trials start first, because what writes takes a while to import."""
        super().begin(sweep, outcomes)
        self.changed = True
        self.points = RecentPoints(sweep.watched_metric)

    def started(self, task: Task) -> None:
        """A trial runs."""
        self.points.started(task, self.sweep.label_of(task.trial_id))

    def reported(self, task: Task, point: Point) -> None:
        """Rewrite the tables if they are not up to date, or the page if it has not been written for a while."""
        self.points.reported(task, point)
        if self.changed or self.clock() - self.done_at >= MOST_SECONDS:
            self.write_if_due()

    def ended(self, task: Task, record: AttemptRecord) -> None:
        """Rewrite the tables, unless that was done just now."""
        super().ended(task, record)
        self.points.ended(task)
        self.changed = True
        self.write_if_due()

    def write_if_due(self) -> None:
        """Write what is known, if the pause is over."""
        if not self.is_due():
            return
        with suppress(StoreError, StyleError, OSError):  # the end of the sweep says what is wrong
            self.write(self.results, self.points.now(), not self.changed)
        self.changed = False
        if self.imported:
            pause = min(PAUSES * (self.clock() - self.done_at), LONGEST_PAUSE)
            self.pause_seconds = max(pause, self.shortest)
        self.imported = True
