"""Why each trial of a plan would run or be reused: by its attempt that counts, else by its difference to others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any

from orchestrator.commands.closest_trial import FinishedTrials, Identity
from orchestrator.commands.local_time import local_time
from orchestrator.commands.reason_kind import EarlierPlan, Kind, kind_of_unfinished
from orchestrator.errors import DamagedError, shortened
from orchestrator.planning.identity import canonical
from orchestrator.planning.plan import SweepPlan, Trial
from orchestrator.planning.stale import describe_difference, plan_state
from orchestrator.store.attempt_record import AttemptRecord, State
from orchestrator.store.run_directory import RunDirectory

__all__ = ["Reason", "Reasons", "finished_identities", "value_text"]

MOST_FIELDS_LISTED = 6
"""Differing keys that are named for a trial."""
LONGEST_VALUE = 40
"""Characters of a value that are shown."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Reason:
    """Why one trial would run or be reused."""

    trial_id: str
    kind: Kind
    text: str
    """The same for trials that a summary shows together; empty where `changes` say it."""
    detail: str
    """What there is to say about this trial."""
    changes: Mapping[str, tuple[Any, Any]] = field(default_factory=dict)
    """For each changed key the value of then and of now."""
    record: AttemptRecord | None = None
    """The attempt that counts."""


class Reasons:
    """Iterates over the reasons for the trials of a plan, in running order."""

    def __init__(self, plan: SweepPlan, directory: RunDirectory) -> None:
        self.plan, self.directory = plan, directory
        self.state = plan_state(plan.record, directory, plan.record.trial_ids)
        self.outcomes = self.state.outcomes
        self.stale = {item.trial_id: item for item in self.state.stale}
        self.earlier = EarlierPlan(plan.record, directory, self.outcomes)
        self.known_differences: dict[str, str] = {}
        self.unreadable: list[str] = []
        """Files that cannot be read, a line each; known when the iteration has ended."""

    def __iter__(self) -> Iterator[Reason]:
        for trial in self.plan.trials:
            record = self.outcomes.get(trial.trial_id)
            yield self.not_attempted(trial) if record is None else self.attempted(trial.trial_id, record)

    def attempted(self, trial_id: str, record: AttemptRecord) -> Reason:
        """By the attempt that counts."""
        when, other_code = local_time(record.ended_at), self.other_code(trial_id, record)
        if record.state is State.DONE:
            code = record.environment.get("commit", "")[:7]
            changes = " with changes" if record.environment.get("dirty") else ""
            commit = f", commit {code}{changes}" if code else ""
            kind = Kind.STALE if trial_id in self.stale else Kind.REUSED
            detail = f"done on {when}{commit}{f', {other_code}' if other_code else ''}"
            return Reason(trial_id=trial_id, kind=kind, text=other_code, detail=detail, record=record)
        if record.state is State.DAMAGED and record.error is not None:
            text = record.error.message
            return Reason(trial_id=trial_id, kind=Kind.DAMAGED, text=text, detail=text, record=record)
        error = f" ({record.error.summary})" if record.error else ""
        detail = f"attempt {record.attempt} was {record.state.words} on {when}{error}"
        if trial_id in self.stale:
            text = f"with a checkpoint {other_code}"
            return Reason(trial_id=trial_id, kind=Kind.STALE, text=text, detail=f"{detail}, {text}", record=record)
        kind = kind_of_unfinished(record.state)
        text = f"{record.state.words}{error}"
        return Reason(trial_id=trial_id, kind=kind, text=text, detail=detail, record=record)

    def other_code(self, trial_id: str, record: AttemptRecord | None) -> str:
        """How the code of a trial differs from the present one; empty where it does not."""
        if (item := self.stale.get(trial_id)) is not None:
            return self.difference(item.code)
        if record is None or self.state.plan.equals_code(record.code):
            return ""
        return f"{self.difference(record.code)}, accepted"

    def difference(self, code: str) -> str:
        """`describe_difference`, once for each code."""
        if code not in self.known_differences:
            self.known_differences[code] = describe_difference(code, self.directory)
        return self.known_differences[code]

    def not_attempted(self, trial: Trial) -> Reason:
        """By what distinguishes a trial that has not ended from those that have."""
        trial_id = trial.trial_id
        if trial_id in self.stale:
            text = f"interrupted, with a checkpoint {self.other_code(trial_id, None)}"
            return Reason(trial_id=trial_id, kind=Kind.STALE, text=text, detail=text)
        if not self.finished.by_id:
            text = "no trial has been run here"
            return Reason(trial_id=trial_id, kind=Kind.NOT_RUN, text=text, detail=text)
        content = {**canonical(trial.config), "data": trial.data_digest, **self.plan.workload.identity}
        identity = Identity(trial_id=trial_id, content=content)
        before = self.before(trial_id)
        other_seed = self.finished.other_seed(identity)
        closest = other_seed or before or self.finished.nearest(identity)
        changes = identity.differences(closest)
        detail = f"never run; closest is {closest.trial_id}, which differs in {describe_changes(changes)}"
        kind = self.earlier.kind_of(trial_id, self.row_of[trial_id][0])
        if trial_id in self.earlier.planned:
            return Reason(trial_id=trial_id, kind=Kind.NOT_RUN, text="planned, not run yet", detail=detail)
        if other_seed is not None or kind is Kind.NEW_SEED:
            return Reason(trial_id=trial_id, kind=Kind.NEW_SEED, text="new seeds", detail=detail)
        if before is None and kind is Kind.NEW_ROW:
            return Reason(trial_id=trial_id, kind=Kind.NEW_ROW, text="new rows", detail=detail)
        changed = {key: pair for key, pair in changes.items() if key != "seed"}
        return Reason(trial_id=trial_id, kind=Kind.CHANGED, text="", detail=detail, changes=changed)

    def before(self, trial_id: str) -> Identity | None:
        """The finished trial of the same row and seed in the plan that this one replaces."""
        return self.finished.by_id.get(self.earlier.trials.get(self.row_of[trial_id], ""))

    @cached_property
    def finished(self) -> FinishedTrials:
        """All finished trials of the run directory."""
        identities, self.unreadable = finished_identities(self.directory)
        return FinishedTrials(identities)

    @cached_property
    def row_of(self) -> dict[str, tuple[str, int]]:
        """By trial id, its first row with the seed."""
        return {run.trial_id: (run.title, run.seed) for run in reversed(self.plan.record.cells)}


def describe_changes(changes: Mapping[str, tuple[Any, Any]]) -> str:
    """`optim.lr: 0.2 -> 0.1; seed: 0 -> 1; and 3 more`."""
    named = [f"{key}: {value_text(was)} -> {value_text(now)}" for key, (was, now) in changes.items()]
    more = len(named) - MOST_FIELDS_LISTED
    return "; ".join(named[:MOST_FIELDS_LISTED]) + (f"; and {more} more" if more > 0 else "")


def value_text(value: Any) -> str:
    """A value in short."""
    return shortened(str(value), LONGEST_VALUE)


def finished_identities(directory: RunDirectory) -> tuple[list[Identity], list[str]]:
    """The identities of all trials in the run directory that are done, and a line for each that cannot be read."""
    outcomes = directory.outcomes(directory.files.names("trials"))
    done = [trial_id for trial_id, record in outcomes.items() if record.state is State.DONE]
    found: list[Identity] = []
    damaged: list[str] = []
    for trial_id, known in zip(done, directory.files.map(partial(facts_or_damage, directory), done), strict=True):
        if isinstance(known, DamagedError):
            damaged.append(f"damaged: {known}")
        else:
            content = dict(known.get("config", {}))
            content.update({key: known[key] for key in ("data", "result_version", "workload") if key in known})
            found.append(Identity(trial_id=trial_id, content=content))
    return found, damaged


def facts_or_damage(directory: RunDirectory, trial_id: str) -> dict[str, Any] | DamagedError:
    """What a trial's id is a function of, or why that cannot be read."""
    try:
        return directory.trial_facts(trial_id)
    except DamagedError as error:
        return error
