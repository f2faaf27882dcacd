"""TimedTrial: when a running trial started and reported; Pace: what a step of a row takes."""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator.planning.cost_forecast import ExpectedTrial

__all__ = ["Pace", "TimedTrial"]


@dataclass(slots=True)
class TimedTrial:
    """When a running trial started and reported, in seconds on the clock of the sweep."""

    row: str
    expected: ExpectedTrial
    started_at: float
    warm: bool
    """Whether another trial had reported before, so that nothing is imported for this one any more."""
    first: tuple[int, float] | None = None
    """Step and time of the first report."""
    last: tuple[int, float] | None = None
    """Step and time of the last report with another step than those before."""

    def reported(self, step: int, now: float) -> None:
        """A report."""
        self.first = self.first or (step, now)
        if self.last is None or step > self.last[0]:
            self.last = (step, now)

    @property
    def timed_steps(self) -> int:
        """Steps between the first report and the last."""
        return self.last[0] - self.first[0] if self.first is not None and self.last is not None else 0

    @property
    def step_seconds(self) -> float | None:
        """Seconds per step; None before two reports."""
        if self.first is None or self.last is None or not self.timed_steps:
            return None
        return (self.last[1] - self.first[1]) / self.timed_steps

    @property
    def timed_share(self) -> float:
        """The share of the trial that `step_seconds` was measured on, 0..1."""
        return min(self.timed_steps / (self.expected.steps or 1), 1.0)

    @property
    def start_seconds(self) -> float | None:
        """Seconds before the first step; None before two reports."""
        if self.first is None or self.step_seconds is None:
            return None
        return max(self.first[1] - self.started_at - self.first[0] * self.step_seconds, 0.0)

    def end_seconds(self, now: float) -> float | None:
        """Seconds between the last step and `now`, when the trial has ended; None before two reports."""
        if self.last is None or self.step_seconds is None:
            return None
        missing = max((self.expected.steps or 0) - self.last[0], 0)  # not every step is reported
        return max(now - self.last[1] - missing * self.step_seconds, 0.0)


@dataclass(slots=True)
class Pace:
    """The seconds that a step of a row takes: a mean over its trials."""

    weight: float = 0.0
    """In whole trials."""
    total: float = 0.0

    def plus(self, step_seconds: float, share: float) -> Pace:
        """With a further measurement on this share of a trial."""
        return Pace(self.weight + share, self.total + share * step_seconds)

    @property
    def mean(self) -> float:
        """Seconds per step."""
        return self.total / self.weight
