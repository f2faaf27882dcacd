"""Record files: parses the plan, trial and attempt files of a run directory, and checks that they are what was written.

A file with a digest must match it. In every file, names must be those of the folder and file they are found under, and
each value must be of the type of its field.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from orchestrator.errors import DamagedError
from orchestrator.machine.garbage import collection_paused
from orchestrator.machine.sealed_json import unseal
from orchestrator.store.attempt_record import AttemptRecord, State
from orchestrator.store.sweep_record import SweepRecord

__all__ = [
    "ATTEMPT_FILE",
    "PlanFile",
    "StoredAttempt",
    "TrialFile",
    "attempt_name",
    "checking",
    "deciding_attempt",
    "parse_attempt",
    "parse_plan",
    "parse_trial",
    "steps_of",
]

ATTEMPT_FILE = re.compile(r"attempt_(\d+)\.json")


class StoredAttempt(NamedTuple):
    """A record and where it is stored."""

    key: str
    record: AttemptRecord
    """`AttemptRecord.damaged` for a damaged one."""
    verified: bool
    """Whether the record has a digest, which matches."""

    @property
    def damaged(self) -> bool:
        """Whether the record is not what was written."""
        return self.record.state is State.DAMAGED


class PlanFile(NamedTuple):
    """The plan of a sweep."""

    record: SweepRecord
    verified: bool
    """Whether the file has a digest, which matches."""


class TrialFile(NamedTuple):
    """What a trial's id is a function of."""

    facts: dict[str, Any]
    """`trial_id`, `config`, `data`, `result_version`, `code`; empty for a trial that never started."""
    verified: bool
    """Whether the file has a digest, which matches."""


def attempt_name(attempt: int) -> str:
    """Name of the file of an attempt's record, in the trial's folder."""
    return f"attempt_{attempt:03d}.json"


def parse_attempt(key: str, content: bytes | DamagedError) -> StoredAttempt:
    """The attempt record in the file `key`; where it is damaged, or could not be read, what stands for it."""
    _, trial_id, name = key.split("/")
    match = ATTEMPT_FILE.fullmatch(name)
    attempt = int(match[1]) if match else 0
    try:
        if isinstance(content, DamagedError):
            raise content
        values, verified = unseal(content)
        record = AttemptRecord.from_json(values)
        if (record.trial_id, record.attempt) != (trial_id, attempt):
            raise ValueError(f"it is the record of trial {record.trial_id}, attempt {record.attempt}")
        return StoredAttempt(key, record, verified)
    except (ValueError, DamagedError) as error:
        cause = str(error).rpartition(": ")[2] if isinstance(error, DamagedError) else str(error)
        record = AttemptRecord.damaged(trial_id, attempt, f"{key}: damaged record ({cause})")
        return StoredAttempt(key, record, verified=False)


def parse_plan(content: bytes, name: str, path: str) -> PlanFile:
    """The plan of sweep `name` in the file `path`. Raises DamagedError."""
    with checking(path, "plan", "run the sweep's command again to write it anew, or restore the file from a copy"):
        with collection_paused():
            values, verified = unseal(content)
            record = SweepRecord.from_json(values)
        if record.name != name:
            raise ValueError(f"it is the plan of sweep {record.name!r}")
        return PlanFile(record, verified)


def parse_trial(content: bytes, trial_id: str, path: str) -> TrialFile:
    """The facts of a trial in the file `path`. Raises DamagedError."""
    with checking(path, "record", "delete the file; the next attempt at the trial writes it again"):
        facts, verified = unseal(content)
        if facts.get("trial_id") != trial_id:
            raise ValueError(f"it belongs to trial {facts.get('trial_id')}")
        for key, kind in (("config", dict), ("data", str), ("result_version", int)):
            if not isinstance(facts.get(key, kind()), kind):
                raise ValueError(f"{key}: {type(facts[key]).__name__} instead of {kind.__name__}")
        if "config" not in facts:
            raise ValueError("config: missing")
        return TrialFile(facts, verified)


def steps_of(facts: Mapping[str, Any]) -> int | None:
    """The number of steps of a trial with these facts; None where its workload does not say.

    Trials of before, which are of the built-in trainer, have it in their configuration only.
    """
    steps = facts.get("steps", facts.get("config", {}).get("schedule.steps"))
    return steps if isinstance(steps, int) else None


@contextmanager
def checking(path: str, what: str, remedy: str) -> Iterator[None]:
    """Turn a ValueError into a DamagedError of one line: the file, what is wrong, and the remedy."""
    try:
        yield
    except ValueError as error:
        raise DamagedError(f"{path}: damaged {what} ({error}); {remedy}") from error


def deciding_attempt(attempts: Sequence[StoredAttempt], plan: SweepRecord | None = None) -> StoredAttempt | None:
    """The attempt that counts: the first `done`, else a damaged one, else the last; None without an attempt.

    A result of code that `plan` does not accept counts if there is no other, and no attempt of accepted code after it:
    such an attempt was made because the user had the trial run again.
    """
    accepted = [item for item in attempts if plan is None or plan.accepts_code(item.record.trial_id, item.record.code)]
    counted = accepted
    if not any(item.record.state is State.DONE for item in accepted):
        counted = list(attempts[attempts.index(accepted[-1]) :] if accepted else attempts)
    done = (item for item in counted if item.record.state is State.DONE)
    damaged = (item for item in (*counted, *accepted) if item.damaged)
    return next(done, next(damaged, counted[-1] if counted else None))
