"""BudgetUsage: what a sweep has used of its budget."""

from __future__ import annotations

from collections.abc import Iterable

from orchestrator.running.failures import sign
from orchestrator.spec.blocks import Budget
from orchestrator.store.attempt_record import AttemptRecord, ErrorRecord

__all__ = ["BudgetUsage"]

HOUR = 3600.0


class BudgetUsage:
    """Wall time of this command, and GPU-hours of all attempts at the sweep's trials, also by earlier commands."""

    def __init__(self, budget: Budget, earlier: Iterable[AttemptRecord], now: float) -> None:
        """`now` and every later `now` are seconds on one clock."""
        self.budget = budget
        self.began = now
        self.gpu_hours = sum(map(gpu_hours, earlier))
        self.running: dict[str, tuple[float, float]] = {}
        """Start time and GPUs of each running trial."""

    def started(self, trial_id: str, gpus: float, now: float) -> None:
        """A trial starts and takes `gpus`."""
        self.running[trial_id] = (now, gpus)

    def ended(self, trial_id: str, record: AttemptRecord) -> None:
        """A trial has ended; its record says what it used."""
        self.running.pop(trial_id, None)
        self.gpu_hours += gpu_hours(record)

    def overdue(self, trial_id: str, now: float) -> bool:
        """Whether a trial has run longer than `budget.trial_hours`."""
        limit = self.budget.trial_hours
        started = self.running.get(trial_id)
        return limit is not None and started is not None and now - started[0] > limit * HOUR

    @property
    def time_limit_error(self) -> ErrorRecord:
        """The error of an overdue trial; all trials with the same limit share one signature."""
        limit = self.budget.trial_hours or 0.0
        return sign(
            ErrorRecord(kind="TimedOut", message=f"the attempt took longer than budget.trial_hours ({limit:g})")
        )

    def exhausted(self, now: float) -> str:
        """Which limit is reached, for the user; empty while there is budget left."""
        wall = (now - self.began) / HOUR
        if self.budget.wall_hours is not None and wall >= self.budget.wall_hours:
            return f"budget.wall_hours: the limit of {self.budget.wall_hours:g} hours is reached"
        if self.budget.gpu_hours is not None:
            used = self.gpu_hours + sum(gpus * (now - start) / HOUR for start, gpus in self.running.values())
            if used >= self.budget.gpu_hours:
                return f"budget.gpu_hours: {used:.2f} of {self.budget.gpu_hours:g} GPU-hours are used"
        return ""


def gpu_hours(record: AttemptRecord) -> float:
    """GPU-hours of an attempt."""
    return record.resources.get("gpus", 0.0) * (record.ended_at - record.started_at) / HOUR
