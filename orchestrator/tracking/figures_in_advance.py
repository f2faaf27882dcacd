"""FigureTracker: has figures drawn in advance while the last trials run, so that fewer are left at the end."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path

from orchestrator.running.task import Task
from orchestrator.store.records import AttemptRecord, Point, SweepRecord
from orchestrator.store.sweep_results import SweepResults

__all__ = ["FigureTracker"]

MOST_TRIALS = 2000
"""Of a larger sweep nothing is drawn in advance: to compute what its figures show would keep the driver."""


class FigureTracker:
    """Calls `draw` when a trial has started or ended and a CPU is idle, at most every `pause_seconds`."""

    def __init__(
        self,
        draw: Callable[[SweepResults], object],
        has_idle_cpu: Callable[[], bool],
        pause_seconds: float = 10.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`has_idle_cpu`: whether no trial waits, and those that run leave a CPU of this machine idle."""
        self.draw = draw
        self.has_idle_cpu = has_idle_cpu
        self.pause_seconds = pause_seconds
        self.clock = clock
        self.drawn_at = -pause_seconds
        self.outcomes: dict[str, AttemptRecord] = {}
        self.sweep: SweepRecord

    def planned(self, sweep: SweepRecord) -> None:
        """The plan has grown."""
        self.sweep = sweep

    def begin(self, sweep: SweepRecord, outcomes: Mapping[str, AttemptRecord]) -> None:
        """Start from the outcomes of earlier runs."""
        self.sweep, self.outcomes = sweep, dict(outcomes)

    def started(self, task: Task) -> None:
        """The last trial may leave a CPU idle."""
        self.draw_if_idle()

    def reported(self, task: Task, point: Point) -> None:
        """Nothing to draw."""

    def ended(self, task: Task, record: AttemptRecord) -> None:
        """A trial has left its CPUs; if none waits for them, they are idle."""
        self.outcomes[task.trial_id] = record
        self.draw_if_idle()

    def finish(self, outcomes: Mapping[str, AttemptRecord], artifacts: Mapping[str, Path], completed: bool) -> None:
        """Nothing to draw: the final figures were drawn before."""

    def draw_if_idle(self) -> None:
        """Draw what there is, unless that was done just now."""
        now = self.clock()
        if now - self.drawn_at < self.pause_seconds or len(self.outcomes) > MOST_TRIALS or not self.has_idle_cpu():
            return
        self.drawn_at = now
        self.draw(SweepResults(sweep=self.sweep, outcomes=self.outcomes))
