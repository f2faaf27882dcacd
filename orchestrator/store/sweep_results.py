"""SweepResults: the plan of a sweep with the outcomes of its trials; tables, figures and status are made from it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from orchestrator.errors import StoreError
from orchestrator.store.attempt_record import AttemptRecord, State
from orchestrator.store.sweep_record import SweepRecord

__all__ = ["SweepResults", "Verification", "find_name"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Verification:
    """Which of the files behind the results have a digest; where a digest does not match, the record is damaged."""

    plan: bool = True
    """Whether the plan has one."""
    without_digest: frozenset[str] = frozenset()
    """Ids of the trials whose record has none: it was written by version 0.1, so nobody can tell whether it changed."""
    copy: str = ""
    """Where the results are from when they are a copy of the records, which has no digests: `MLflow`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SweepResults:
    """A sweep with the outcomes of its trials so far."""

    sweep: SweepRecord
    outcomes: Mapping[str, AttemptRecord]
    """The attempt that counts, by trial id, of each trial with an ended attempt; may contain other sweeps' trials."""
    verification: Verification | None = None
    """None while a sweep runs, and for results that were made up."""

    def state_of(self, trial_id: str) -> State | None:
        """State of the attempt that counts; None for a trial without an ended attempt."""
        record = self.outcomes.get(trial_id)
        return None if record is None else record.state

    def ended(self, trial_id: str) -> bool:
        """Whether the trial needs no further attempt (`SweepRecord.ends_trial`)."""
        state = self.state_of(trial_id)
        return state is not None and self.sweep.ends_trial(state)

    @property
    def damaged(self) -> tuple[AttemptRecord, ...]:
        """What stands for the planned trials' records that are not what was written, in the order of the plan."""
        found = (self.outcomes[trial_id] for trial_id in self.sweep.trial_ids if trial_id in self.outcomes)
        return tuple(record for record in found if record.state is State.DAMAGED)

    @property
    def by_data_set(self) -> dict[str, SweepResults]:
        """By its name, the results on each data set that the sweep names, as if it were the only one."""
        parts = {}
        for item in self.sweep.data_sets:
            sweep = self.sweep.on(item)
            own = {key: self.outcomes[key] for key in sweep.trial_ids if key in self.outcomes}
            parts[item.name] = replace(self, sweep=sweep, outcomes=own)
        return parts

    @property
    def parts(self) -> tuple[SweepResults, ...]:
        """The results on each data set; of a sweep that names none, the results themselves."""
        return tuple(self.by_data_set.values()) or (self,)

    @property
    def unfinished(self) -> tuple[str, ...]:
        """Ids of the planned trials that are still to run, in the order of the plan."""
        return tuple(trial_id for trial_id in self.sweep.trial_ids if not self.ended(trial_id))


def find_name(name: str, recorded: Iterable[str], place: str) -> str:
    """`name` if recorded, else the only name with a recipe or changes, `name@...` or `name+...`, else `name`.

    Raises StoreError, naming `place`, if several are recorded.
    """
    known = sorted(recorded)
    matches = [name] if name in known else [found for found in known if found.startswith((f"{name}@", f"{name}+"))]
    if len(matches) > 1:
        remedy = "Choose one with --recipe, --set and --seeds as for the sweep, or with --name"
        raise StoreError(f"{place}: several sweeps of {name!r}: {', '.join(matches)}. {remedy}")
    return matches[0] if matches else name
