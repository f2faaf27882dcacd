"""GrowingPlan: a plan whose further trials depend on the outcomes of earlier ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from orchestrator.planning.plan import Trial
from orchestrator.store.attempt_record import AttemptRecord, Point
from orchestrator.store.sweep_record import SweepRecord

__all__ = ["GrowingPlan"]


class GrowingPlan(Protocol):
    """A plan that grows while it runs: by the trials of a search, or by the seeds that rows still need."""

    record: SweepRecord
    """The plan so far."""
    trials: dict[str, Trial]
    """Its trials, by id."""

    @property
    def candidates(self) -> Mapping[str, Trial]:
        """Trials whose outcomes it needs when it is resumed, by id."""
        return self.trials

    @property
    def exhausted(self) -> bool:
        """Whether no further trial will be added."""

    def resume(self, outcomes: Mapping[str, AttemptRecord]) -> list[Trial]:
        """Continue the plan of earlier commands; returns those of its trials that still have to run."""

    def next_trial(self, outcomes: Mapping[str, AttemptRecord]) -> Trial | None:
        """Add the next trial to run; None when there is none at the moment."""

    def should_stop(self, trial_id: str, point: Point) -> bool:
        """Record a point of a running trial; returns whether the trial is to be stopped early."""
        return False

    def ended(self, trial_id: str, record: AttemptRecord) -> None:
        """A trial has ended and will not be retried."""
