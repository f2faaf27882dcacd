"""Why a trial would run or be reused: a comparison of its identity (config, data, result version) field by field."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from orchestrator.commands.local_time import local_time
from orchestrator.errors import DamagedError
from orchestrator.planning.identity import canonical
from orchestrator.planning.plan import SweepPlan
from orchestrator.planning.stale import describe_difference, plan_state, remedy
from orchestrator.store.records import AttemptRecord, State, SweepRecord
from orchestrator.store.run_directory import RunDirectory

__all__ = ["Identity", "describe_reason", "describe_reasons", "finished_identities", "nearest"]

MOST_FIELDS_LISTED = 6
"""Differing fields that are named."""

ABSENT = "not set"


@dataclass(frozen=True, kw_only=True, slots=True)
class Identity:
    """What a trial's id is a function of: its config by dotted key, `data` (a digest) and `result_version`."""

    trial_id: str
    content: Mapping[str, Any]

    def differences(self, other: Identity) -> dict[str, tuple[Any, Any]]:
        """For each key that differs, the value in `other` and the value here."""
        keys = sorted(self.content.keys() | other.content.keys())
        pairs = {key: (other.content.get(key, ABSENT), self.content.get(key, ABSENT)) for key in keys}
        return {key: pair for key, pair in pairs.items() if pair[0] != pair[1]}


def describe_reasons(plan: SweepPlan, directory: RunDirectory) -> list[str]:
    """One line for each trial of `plan`, in running order, after those for files that cannot be read."""
    state = plan_state(plan.record, directory, plan.record.trial_ids)
    stale = {item.trial_id: describe_difference(item.code, directory) for item in state.stale}
    finished, lines = finished_identities(directory)
    for trial in plan.trials:
        content = {**canonical(trial.config), "data": trial.data_digest, **plan.workload.identity}
        identity = Identity(trial_id=trial.trial_id, content=content)
        label, record = plan.record.label_of(trial.trial_id), state.outcomes.get(trial.trial_id)
        difference = stale.get(trial.trial_id) or accepted_difference(state.plan, record, directory)
        lines.append(describe_reason(label, identity, record, finished, difference, stale=trial.trial_id in stale))
    return [*lines, f"stale: {remedy(state.stale)}"] if stale else lines


def accepted_difference(plan: SweepRecord, record: AttemptRecord | None, directory: RunDirectory) -> str:
    """How the code of an attempt differs from the present one; empty where it does not."""
    if record is None or plan.equals_code(record.code):
        return ""
    return f"{describe_difference(record.code, directory)}, accepted"


def finished_identities(directory: RunDirectory) -> tuple[list[Identity], list[str]]:
    """The identities of all trials in the run directory that are done, and a line for each that cannot be read."""
    outcomes = directory.outcomes(directory.files.names("trials"))
    done = [trial_id for trial_id, record in outcomes.items() if record.state is State.DONE]
    found: list[Identity] = []
    damaged: list[str] = []
    for trial_id, known in zip(done, directory.files.map(partial(facts_or_damage, directory), done), strict=True):
        if isinstance(known, DamagedError):
            damaged.append(f"damaged  {known}")
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


def nearest(trial: Identity, known: Iterable[Identity]) -> Identity | None:
    """The trial of `known` that differs in the fewest fields; of several the first."""
    others = [other for other in known if other.trial_id != trial.trial_id]
    return min(others, key=lambda other: len(trial.differences(other)), default=None)


def describe_reason(
    label: str,
    trial: Identity,
    record: AttemptRecord | None,
    finished: Iterable[Identity] = (),
    difference: str = "",
    *,
    stale: bool = False,
) -> str:
    """Why `trial` would run or be reused: by its attempt that counts, else by its difference to the `finished` ones.

    `difference` says how other code computed it; `stale`, that the sweep would stop because of that.
    """
    head = f"{label} [{trial.trial_id}]"
    if record is not None:
        when = local_time(record.ended_at)
        if record.state is State.DONE:
            code = record.environment.get("commit", "")[:7]
            changes = " with changes" if record.environment.get("dirty") else ""
            verb = "stale " if stale else "reused"
            commit = f", commit {code}{changes}" if code else ""
            return f"{verb}   {head}: done on {when}{commit}{f', {difference}' if difference else ''}"
        if record.state is State.DAMAGED and record.error is not None:
            return f"runs     {head}: {record.error.message}"
        error = f" ({record.error.summary})" if record.error else ""
        verb, by = ("stale", f", with a checkpoint {difference}") if stale else ("runs ", "")
        return f"{verb}    {head}: attempt {record.attempt} was {record.state.words} on {when}{error}{by}"
    if stale:
        return f"stale    {head}: interrupted, with a checkpoint {difference}"
    closest = nearest(trial, finished)
    if closest is None:
        return f"runs     {head}: no trial has been run here"
    differences = trial.differences(closest)
    named = [f"{key}: {was} -> {now}" for key, (was, now) in list(differences.items())[:MOST_FIELDS_LISTED]]
    if len(differences) > MOST_FIELDS_LISTED:
        named.append(f"and {len(differences) - MOST_FIELDS_LISTED} more")
    return f"runs     {head}: never run; closest is {closest.trial_id}, which differs in {'; '.join(named)}"
