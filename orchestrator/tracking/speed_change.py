"""SpeedChange: how the steps of late compare with those before, because the load of a machine changes."""

from __future__ import annotations

from collections import deque

from orchestrator.tracking.time_range import TimeRange

__all__ = ["SpeedChange"]

REPORTS_PER_SLOT = 8
"""Reports on each slot that are "of late": enough for steps with an evaluation among them to even out."""


class SpeedChange:
    """Compares the last reports of all trials with what steps of the same rows have taken on average."""

    def __init__(self) -> None:
        self.reports: deque[tuple[float, float]] = deque()
        """Of the last reports the seconds since the report before, and those that its steps take on average."""
        self.taken = self.expected = 0.0
        """Their sums."""

    def reported(self, seconds: float, expected: float, slots: int) -> None:
        """A report came `seconds` after the one before of its trial; its steps take `expected` seconds on average."""
        self.reports.append((seconds, expected))
        self.taken += seconds
        self.expected += expected
        while len(self.reports) > REPORTS_PER_SLOT * slots:
            seconds, expected = self.reports.popleft()
            self.taken -= seconds
            self.expected -= expected

    @property
    def factor(self) -> float:
        """2 where steps of late take twice their average; 1 before any report."""
        return self.taken / self.expected if self.expected > 0 and self.taken > 0 else 1.0

    def cover(self, average: TimeRange) -> TimeRange:
        """A range at average speed, widened by what it is at the speed of late: nobody knows which one will hold."""
        return TimeRange(average.low * min(self.factor, 1.0), average.high * max(self.factor, 1.0))
