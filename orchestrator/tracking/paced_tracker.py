"""PacedTracker: knows the outcomes so far, for trackers that do something with all of them now and then."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from orchestrator.running.task import Task
from orchestrator.store.attempt_record import AttemptRecord, Point
from orchestrator.store.sweep_record import SweepRecord
from orchestrator.store.sweep_results import SweepResults

__all__ = ["PacedTracker"]


class PacedTracker:
    """Keeps the plan and the outcomes; `is_due` at most every `pause_seconds`."""

    def __init__(self, pause_seconds: float, clock: Callable[[], float]) -> None:
        self.pause_seconds = pause_seconds
        self.clock = clock
        self.done_at = -pause_seconds
        self.outcomes: dict[str, AttemptRecord] = {}
        self.sweep: SweepRecord

    @property
    def results(self) -> SweepResults:
        """What is known by now."""
        return SweepResults(sweep=self.sweep, outcomes=self.outcomes)

    def is_due(self) -> bool:
        """Whether the pause is over; then the next one begins."""
        now = self.clock()
        if now - self.done_at < self.pause_seconds:
            return False
        self.done_at = now
        return True

    def planned(self, sweep: SweepRecord) -> None:
        """The plan has grown."""
        self.sweep = sweep

    def begin(self, sweep: SweepRecord, outcomes: Mapping[str, AttemptRecord]) -> None:
        """Start from the outcomes of earlier runs."""
        self.sweep, self.outcomes = sweep, dict(outcomes)

    def started(self, task: Task) -> None:
        """Nothing to do."""

    def reported(self, task: Task, point: Point) -> None:
        """Nothing to do."""

    def ended(self, task: Task, record: AttemptRecord) -> None:
        """A trial has a new outcome."""
        self.outcomes[task.trial_id] = record

    def finish(self, outcomes: Mapping[str, AttemptRecord], artifacts: Mapping[str, Path], completed: bool) -> None:
        """Nothing to do: the sweep itself writes what is final, before this."""
