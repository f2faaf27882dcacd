"""StoredPlan: the plan of a command as the run directory has it, with what is done of it and what is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from orchestrator.planning.plan import SweepPlan, Trial, TrialSelection
from orchestrator.planning.stale import StaleCodeError, StaleTrials, plan_state, refusal
from orchestrator.store.attempt_record import AttemptRecord

if TYPE_CHECKING:
    from orchestrator.planning.adaptive.base import GrowingPlan
    from orchestrator.store.record_files import StoredAttempt
    from orchestrator.store.record_store import RecordStore

__all__ = ["StoredPlan", "store_plan"]


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredPlan:
    """A plan as the run directory has it now, with what is done of it and what is asked for."""

    plan: SweepPlan
    growing: GrowingPlan | None
    """The same plan, if trials are added while the sweep runs."""
    attempts: Mapping[str, StoredAttempt]
    """By trial id, the attempt that counts."""
    selected: frozenset[str] | None
    """Ids of the trials that are asked for; None: all."""

    @property
    def outcomes(self) -> dict[str, AttemptRecord]:
        """The records of `attempts`."""
        return {trial_id: item.record for trial_id, item in self.attempts.items()}

    @property
    def todo(self) -> list[Trial]:
        """What is asked for and has no result."""
        unfinished = self.plan.unfinished(self.outcomes)
        return [trial for trial in unfinished if self.selected is None or trial.trial_id in self.selected]


def store_plan(
    plan: SweepPlan,
    growing: GrowingPlan | None,
    store: RecordStore,
    selection: TrialSelection | None,
    stale: StaleTrials,
) -> StoredPlan:
    """Write a plan to the run directory; those of earlier commands are kept there.

    Raises StaleCodeError, and SweepError for a selection of what the plan does not have.
    """
    candidates = [trial.trial_id for trial in plan.trials]
    if growing is not None:
        plan = replace(plan, record=growing.record, trials=tuple(growing.trials.values()))
        candidates = list(growing.candidates)
    selected = None if selection is None else selection.of(plan.record, candidates)
    state = plan_state(plan.record, store, candidates, stale)
    if state.stale:
        raise StaleCodeError(refusal(state, store))
    plan = replace(plan, record=state.plan)
    if growing is not None:
        growing.record = plan.record
    store.keep_plan(plan.record.name, state.outcomes)  # that of earlier commands, as this one may replace it
    store.write_sweep(plan.record)
    return StoredPlan(plan=plan, growing=growing, attempts=state.stored, selected=selected)
