"""FigureTracker: has figures drawn in advance while the last trials run, so that fewer are left at the end."""

from __future__ import annotations

import time
from collections.abc import Callable

from orchestrator.running.task import Task
from orchestrator.store.attempt_record import AttemptRecord
from orchestrator.store.sweep_results import SweepResults
from orchestrator.tracking.paced_tracker import PacedTracker

__all__ = ["FigureTracker"]

MOST_TRIALS = 2000
"""Of a larger sweep nothing is drawn in advance: to compute what its figures show would keep the driver."""


class FigureTracker(PacedTracker):
    """Calls `draw` when a trial has started or ended and a CPU is idle, at most every `pause_seconds`."""

    def __init__(
        self,
        draw: Callable[[SweepResults], object],
        has_idle_cpu: Callable[[], bool],
        pause_seconds: float = 10.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`has_idle_cpu`: whether no trial waits, and those that run leave a CPU of this machine idle."""
        super().__init__(pause_seconds, clock)
        self.draw = draw
        self.has_idle_cpu = has_idle_cpu

    def started(self, task: Task) -> None:
        """The last trial may leave a CPU idle."""
        self.draw_if_idle()

    def ended(self, task: Task, record: AttemptRecord) -> None:
        """A trial has left its CPUs; if none waits for them, they are idle."""
        super().ended(task, record)
        self.draw_if_idle()

    def draw_if_idle(self) -> None:
        """Draw what there is, unless that was done just now."""
        if len(self.outcomes) <= MOST_TRIALS and self.has_idle_cpu() and self.is_due():
            self.draw(self.results)
