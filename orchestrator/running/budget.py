"""Spending: what a sweep has used of its budget."""

from __future__ import annotations

from collections.abc import Iterable

from orchestrator.running.failures import sign
from orchestrator.spec.blocks import Budget
from orchestrator.store.records import AttemptRecord, ErrorRecord

__all__ = ["Spending"]

HOUR = 3600.0


class Spending:
    """Wall time of this command, and GPU-hours of all attempts at the sweep's trials, earlier commands included."""

    def __init__(self, budget: Budget, earlier: Iterable[AttemptRecord], now: float) -> None:
        self.budget = budget
        self.began = now
        self.gpu_hours = sum(map(gpu_hours, earlier))
        self.running: dict[str, tuple[float, float]] = {}
        """Start and GPUs of running trials."""

    def started(self, trial_id: str, gpus: float, now: float) -> None:
        """A trial takes its share."""
        self.running[trial_id] = (now, gpus)

    def ended(self, trial_id: str, record: AttemptRecord) -> None:
        """It gives it back."""
        self.running.pop(trial_id, None)
        self.gpu_hours += gpu_hours(record)

    def overdue(self, trial_id: str, now: float) -> bool:
        """Whether a trial runs longer than an attempt may."""
        limit = self.budget.trial_hours
        started = self.running.get(trial_id)
        return limit is not None and started is not None and now - started[0] > limit * HOUR

    @property
    def overrun(self) -> ErrorRecord:
        """What is wrong with a trial that is overdue; those of one limit have one signature."""
        limit = self.budget.trial_hours or 0.0
        return sign(
            ErrorRecord(kind="TimedOut", message=f"the attempt took longer than budget.trial_hours ({limit:g})")
        )

    def spent(self, now: float) -> str:
        """What is used up, for the user; empty while there is budget left."""
        wall = (now - self.began) / HOUR
        if self.budget.wall_hours is not None and wall >= self.budget.wall_hours:
            return f"budget.wall_hours: {self.budget.wall_hours:g} hours are over"
        if self.budget.gpu_hours is not None:
            used = self.gpu_hours + sum(gpus * (now - start) / HOUR for start, gpus in self.running.values())
            if used >= self.budget.gpu_hours:
                return f"budget.gpu_hours: {used:.2f} of {self.budget.gpu_hours:g} GPU-hours are spent"
        return ""


def gpu_hours(record: AttemptRecord) -> float:
    """GPU-hours an attempt took."""
    return record.resources.get("gpus", 0.0) * (record.ended_at - record.started_at) / HOUR
