"""Kinds of reasons why trials run or are reused, as summaries count them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from contextlib import suppress
from enum import Enum

from orchestrator.errors import StoreError
from orchestrator.store.records import AttemptRecord, State, SweepRecord
from orchestrator.store.run_directory import RunDirectory

__all__ = ["Kind", "describe_kinds", "kind_of_unfinished", "kinds_in_plan", "plan_before", "rows_with"]


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


def plan_before(directory: RunDirectory, name: str) -> SweepRecord | None:
    """The recorded plan of a sweep; None without one, or where it is damaged, which planning has said already."""
    with suppress(StoreError):
        return directory.sweep(name)
    return None


def rows_with(plan: SweepRecord, trial_ids: Collection[str]) -> frozenset[str]:
    """The rows of a plan to which one of these trials belongs."""
    return frozenset(run.title for run in plan.cells if run.trial_id in trial_ids)


def kinds_in_plan(
    plan: SweepRecord, earlier: SweepRecord | None, outcomes: Mapping[str, AttemptRecord], to_run: Collection[str]
) -> Counter[Kind]:
    """Why the trials `to_run` of a plan run, as far as plans and outcomes tell; `earlier` is the recorded plan.

    Reads no trial, so it does not know what differs from other finished trials; `orchestrator.commands.reasons` does.
    """
    cells = () if earlier is None else earlier.cells
    planned_before, rows_before = {run.trial_id for run in cells}, {run.title for run in cells}
    done = {trial_id for trial_id, record in outcomes.items() if record.state is State.DONE}
    unchanged = rows_with(plan, planned_before | done)
    first = {run.trial_id: run for run in reversed(plan.cells) if run.trial_id in to_run}

    def kind(trial_id: str, row: str) -> Kind:
        if (record := outcomes.get(trial_id)) is not None:
            return kind_of_unfinished(record.state)
        if trial_id in planned_before:
            return Kind.NOT_RUN
        if row in unchanged:
            return Kind.NEW_SEED
        if row in rows_before:
            return Kind.CHANGED
        return Kind.NEW_ROW if rows_before else Kind.NOT_RUN

    return Counter(kind(run.trial_id, run.title) for run in first.values())
