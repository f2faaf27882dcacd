"""Why a trial would run or be reused, field by field: its identity is the config, the data and RESULT_VERSION."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.planning.identity import canonical
from orchestrator.planning.plan import Trial
from orchestrator.store.backends import open_files
from orchestrator.store.records import AttemptRecord, State, trial_key
from orchestrator.store.run_directory import RunDirectory
from trainer.config import RESULT_VERSION

__all__ = ["Identity", "Reason", "explain", "finished_identities", "identity_of", "nearest", "show_reason"]

LISTED = 6
"""So many differing fields are named."""

ABSENT = "not set"


@dataclass(frozen=True, kw_only=True, slots=True)
class Identity:
    """What a trial's id is a function of, by dotted key; the data's digest as `data`, RESULT_VERSION as `version`."""

    trial_id: str
    content: Mapping[str, Any]

    def differences(self, other: Identity) -> dict[str, tuple[Any, Any]]:
        """Key -> value there and here, for all keys that differ."""
        keys = sorted(self.content.keys() | other.content.keys())
        pairs = {key: (other.content.get(key, ABSENT), self.content.get(key, ABSENT)) for key in keys}
        return {key: pair for key, pair in pairs.items() if pair[0] != pair[1]}


@dataclass(frozen=True, kw_only=True, slots=True)
class Reason:
    """What will become of a trial, and why."""

    trial: Identity
    record: AttemptRecord | None
    """The attempt that counts, if there was one."""
    closest: Identity | None = None
    """For a trial without attempt: the finished one that differs least."""

    @property
    def reused(self) -> bool:
        """Whether nothing is to run."""
        return self.record is not None and self.record.state is State.DONE


def identity_of(trial: Trial) -> Identity:
    """What a planned trial's id is made of."""
    content = {**canonical(trial.config), "data": trial.data_digest, "result_version": RESULT_VERSION}
    return Identity(trial_id=trial.trial_id, content=content)


def finished_identities(run_dir: Path | str) -> list[Identity]:
    """Those of all trials of the store that are done."""
    files = open_files(run_dir)
    outcomes = RunDirectory(run_dir).outcomes(files.names("trials"))
    done = [trial_id for trial_id, record in outcomes.items() if record.state is State.DONE]
    found = []
    for trial_id, content in zip(done, files.read_all([trial_key(name, "trial.json") for name in done]), strict=True):
        known = json.loads(content) if content else {}
        facts = {key: known[key] for key in ("data", "result_version") if key in known}
        found.append(Identity(trial_id=trial_id, content={**known.get("config", {}), **facts}))
    return found


def explain(
    trials: Iterable[Identity], outcomes: Mapping[str, AttemptRecord], known: Iterable[Identity]
) -> list[Reason]:
    """One reason per trial; `known` are the finished trials of the store."""
    finished = list(known)
    return [
        Reason(
            trial=trial,
            record=outcomes.get(trial.trial_id),
            closest=None if trial.trial_id in outcomes else nearest(trial, finished),
        )
        for trial in trials
    ]


def nearest(trial: Identity, known: Iterable[Identity]) -> Identity | None:
    """The trial of `known` that differs in fewest fields; ties go to the one that was there first."""
    others = [other for other in known if other.trial_id != trial.trial_id]
    return min(others, key=lambda other: len(trial.differences(other)), default=None)


def show_reason(reason: Reason, label: str) -> str:
    """One line for the terminal."""
    head = f"{label} [{reason.trial.trial_id}]"
    record = reason.record
    if record is not None:
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(record.ended_at))
        code = record.environment.get("commit", "")[:7]
        code = f", commit {code}{' with changes' if record.environment.get('dirty') else ''}" if code else ""
        if reason.reused:
            return f"reused   {head}: done on {when}{code}"
        kind = f" ({record.error.kind}: {record.error.message})" if record.error else ""
        return f"runs     {head}: attempt {record.attempt} was {record.state.value.replace('_', ' ')} on {when}{kind}"
    if reason.closest is None:
        return f"runs     {head}: nothing like it has been run here"
    changes = reason.trial.differences(reason.closest)
    named = [f"{key}: {was} -> {now}" for key, (was, now) in list(changes.items())[:LISTED]]
    if len(changes) > LISTED:
        named.append(f"and {len(changes) - LISTED} more")
    return f"runs     {head}: never run; closest is {reason.closest.trial_id}, which differs in {'; '.join(named)}"
