"""GrowingPlan: a part of a plan that is not known when it starts; what comes next depends on what came out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from orchestrator.planning.plan import Trial
from orchestrator.store.records import AttemptRecord, Point, SweepRecord

__all__ = ["GrowingPlan"]


class GrowingPlan(Protocol):
    """Grows a plan while it runs: a search by what its study draws, a table by the seeds its rows still need."""

    record: SweepRecord
    """What is promised so far."""
    trials: dict[str, Trial]
    """The trials of it, by id."""

    @property
    def candidates(self) -> Mapping[str, Trial]:
        """Trials whose outcomes it wants to know when it is resumed, by id."""

    @property
    def exhausted(self) -> bool:
        """Nothing more will come."""

    def resume(self, outcomes: Mapping[str, AttemptRecord]) -> list[Trial]:
        """Take up what earlier commands promised; returns the trials of it that are to be run."""

    def draw(self, outcomes: Mapping[str, AttemptRecord]) -> Trial | None:
        """The next trial that is to be run; None when there is none now."""

    def stops(self, trial_id: str, point: Point) -> bool:
        """Note a point of a running trial; returns whether it is not worth going on with."""

    def ended(self, trial_id: str, record: AttemptRecord) -> None:
        """A trial is over for good."""
