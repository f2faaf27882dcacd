"""Kinds of reasons why trials run or are reused, as summaries count them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from contextlib import suppress
from enum import Enum

from orchestrator.errors import StoreError
from orchestrator.store.attempt_record import AttemptRecord, State
from orchestrator.store.run_directory import RunDirectory
from orchestrator.store.sweep_record import SweepRecord

__all__ = ["EarlierPlan", "Kind", "describe_kinds", "kind_of_unfinished"]


class Kind(Enum):
    """What a summary counts together: its words for one trial and for several."""

    NEW_SEED = ("new seed", "new seeds")
    NEW_ROW = ("of a new row", "of new rows")
    CHANGED = ("with changed keys", "with changed keys")
    FAILED = ("failed before", "failed before")
    INTERRUPTED = ("interrupted before", "interrupted before")
    DAMAGED = ("with a damaged record", "with damaged records")
    NOT_RUN = ("not run yet", "not run yet")
    STALE = ("of other code", "of other code")
    """The sweep would stop because of it."""
    REUSED = ("reused", "reused")

    def words(self, count: int) -> str:
        """`3 new seeds`."""
        return f"{count} {self.value[count != 1]}"

    @property
    def verb(self) -> str:
        """What happens to the trial."""
        return {Kind.STALE: "stale", Kind.REUSED: "reused"}.get(self, "runs")


def kind_of_unfinished(state: State) -> Kind:
    """Why a trial runs again whose attempt that counts ended in this state."""
    known = {State.STOPPED: Kind.INTERRUPTED, State.CANCELLED: Kind.INTERRUPTED, State.DAMAGED: Kind.DAMAGED}
    return known.get(state, Kind.FAILED)


def describe_kinds(counts: Mapping[Kind, int]) -> str:
    """`3 new seeds, 1 failed before`: of trials that run."""
    return ", ".join(kind.words(counts[kind]) for kind in Kind if kind.verb == "runs" and counts.get(kind))


class EarlierPlan:
    """The recorded plan of a sweep, which the present one replaces, and what it tells of trials without an attempt.

    Empty without one, or where it is damaged, which planning has said already. Reads no trial, so it does not know what
    differs from other finished trials; `orchestrator.commands.reasons` does.
    """

    def __init__(self, plan: SweepRecord, directory: RunDirectory, outcomes: Mapping[str, AttemptRecord]) -> None:
        """`outcomes`: the attempts that count of the trials of `plan`."""
        self.plan = plan
        self.outcomes = outcomes
        earlier: SweepRecord | None = None
        with suppress(StoreError):
            earlier = directory.sweep(plan.name)
        self.trials = {} if earlier is None else {(run.title, run.seed): run.trial_id for run in earlier.cells}
        """By row and seed."""
        self.planned = frozenset(self.trials.values())
        self.rows = frozenset(row for row, _ in self.trials)
        done = {trial_id for trial_id, record in outcomes.items() if record.state is State.DONE}
        known = self.planned | done
        self.unchanged_rows = frozenset(run.title for run in plan.cells if run.trial_id in known)
        """The rows of `plan` of which it has a trial, or that have a result."""

    def kind_of(self, trial_id: str, row: str) -> Kind:
        """Why a trial of `row` runs that has no attempt."""
        if trial_id in self.planned:
            return Kind.NOT_RUN
        if row in self.unchanged_rows:
            return Kind.NEW_SEED
        if row in self.rows:
            return Kind.CHANGED
        return Kind.NEW_ROW if self.rows else Kind.NOT_RUN

    def kinds(self, to_run: Collection[str]) -> Counter[Kind]:
        """Why the trials `to_run` run."""
        first = {run.trial_id: run.title for run in reversed(self.plan.cells) if run.trial_id in to_run}
        return Counter(
            self.kind_of(trial_id, row)
            if (record := self.outcomes.get(trial_id)) is None
            else kind_of_unfinished(record.state)
            for trial_id, row in first.items()
        )
