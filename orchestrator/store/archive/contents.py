"""What an archive holds, checked as a whole: every id is that of its configuration, every file is that of its record.

The digests of the manifest say that the file is what somebody wrote; this says that it can be the results of a sweep.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from itertools import chain
from typing import Any
from zipfile import BadZipFile, ZipFile

from orchestrator.machine.sealed_json import unseal
from orchestrator.store.archive.files import directory_of
from orchestrator.store.archive.members import WEIGHTS
from orchestrator.store.archive.reading import Archive
from orchestrator.store.attempt_record import State
from orchestrator.store.kept_plans import KeptPlan
from orchestrator.store.keys import trial_key
from orchestrator.store.record_files import StoredAttempt
from orchestrator.store.run_directory import RunDirectory
from orchestrator.store.sweep_record import SweepRecord
from orchestrator.store.trial_identity import has_identity, require_identity
from orchestrator.workload.loading import built_in

__all__ = ["Contents", "read_contents"]

MOST_UNPACKED_BYTES = 256_000_000
"""Of the counts and pictures of a trial, which are a compressed file in the archive."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Contents:
    """The results of one sweep."""

    archive: Archive
    directory: RunDirectory
    """The files of the archive."""
    plan: SweepRecord
    kept: tuple[KeptPlan, ...]
    """The plans that the sweep has had, oldest first."""
    attempts: Mapping[str, Sequence[StoredAttempt]]
    """Ended attempts by trial id, oldest first; a trial without one is not in the archive."""

    @property
    def done(self) -> int:
        """Number of trials of the plan with a result."""
        found = (self.attempts.get(trial_id, ()) for trial_id in self.plan.trial_ids)
        return sum(any(item.record.state is State.DONE for item in stored) for stored in found)


def read_contents(archive: Archive) -> Contents:
    """The results in an archive. Raises DamagedError, one line with the file, for anything that cannot be a sweep's."""
    directory, name = directory_of(archive), archive.manifest.sweep
    plan = directory.plan_file(name).record
    kept = tuple(directory.kept_plans(name))
    runs = chain(plan.cells, chain.from_iterable(item.sweep.cells for item in kept))
    seeds = {run.trial_id: run.seed for run in runs}
    attempts = directory.stored_attempts(directory.attempt_keys(directory.files.names("trials")))
    for trial_id, stored in attempts.items():
        with archive.naming(trial_key(trial_id)):
            if trial_id not in seeds:
                raise ValueError("no plan in the archive refers to it")
            if not stored:
                raise ValueError("it has no ended attempt")
        check_trial(archive, directory, trial_id, seeds[trial_id], stored)
    for member in archive.manifest.members:
        kind, _, rest = member.partition("/")
        with archive.naming(member):
            if kind == "sweeps" and not rest.startswith(f"{name}/"):
                raise ValueError("is of another sweep")
            if kind == "code":
                unseal(archive.read(member) or b"")
    return Contents(archive=archive, directory=directory, plan=plan, kept=kept, attempts=attempts)


def check_trial(
    archive: Archive, directory: RunDirectory, trial_id: str, seed: int, attempts: Sequence[StoredAttempt]
) -> None:
    """Raise DamagedError unless the files of a trial belong together and to its id."""
    key = trial_key(trial_id, "trial.json")
    with archive.naming(key):
        facts = unseal(archive.read(key) or b"").values
        if not has_identity(facts) or not isinstance(facts["config"], dict):
            raise ValueError("does not say what the id of the trial is a function of")
        require_identity(facts, trial_id, seed)
    files: dict[str, str] = {}
    for stored in attempts:
        with archive.naming(stored.key):
            if stored.damaged and stored.record.error is not None:
                raise ValueError(stored.record.error.message.removeprefix(f"{stored.key}: "))
            if stored.record.environment.get("data", facts["data"]) != facts["data"]:
                raise ValueError("its data are not those of its trial")
        files |= stored.record.files
    names = directory.files.names(trial_key(trial_id))
    for name in sorted({*files, *(name for name in names if name.endswith(".npz"))}):
        with archive.naming(trial_key(trial_id, name)):
            check_pictures(archive.read(trial_key(trial_id, name)), files.get(name))
    for name in (name for name in names if name in WEIGHTS):
        with archive.naming(trial_key(trial_id, name)):
            check_weights(archive.read(trial_key(trial_id, name)) or b"", name, facts)


def check_pictures(content: bytes | None, digest: str | None) -> None:
    """Raise ValueError unless a file has the digest in its record, and cannot unpack to more than fits into memory."""
    if digest is None:
        raise ValueError("no record refers to it")
    if content is None:
        raise ValueError("is missing")
    if hashlib.sha256(content).hexdigest() != digest:
        raise ValueError("its content does not match the digest in its record")
    try:
        with ZipFile(BytesIO(content)) as inside:
            total = sum(entry.file_size for entry in inside.infolist())
    except BadZipFile as error:
        raise ValueError("is no file of counts and pictures") from error
    if total > MOST_UNPACKED_BYTES:
        raise ValueError(f"unpacks to {total / 1e6:.0f} MB, more than the counts and pictures of a trial have")


def check_weights(content: bytes, name: str, facts: Mapping[str, Any]) -> None:
    """Raise ValueError for a damaged checkpoint, and for one that is not of the built-in trainer."""
    check = built_in().extras.verify_checkpoint.get(name)
    if "workload" in facts or check is None:
        raise ValueError("is not of the built-in trainer")
    check(BytesIO(content))
