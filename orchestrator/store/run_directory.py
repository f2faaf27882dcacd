"""RunDirectory: a run directory, for reading its records."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

from orchestrator.errors import DamagedError, StoreError
from orchestrator.machine.garbage import collection_paused
from orchestrator.machine.sealed_json import unseal
from orchestrator.store.attempt_record import AttemptRecord, Point
from orchestrator.store.backends import Files, local_folder, open_files
from orchestrator.store.kept_plans import PLANS, KeptPlan, plan_key, plan_numbers
from orchestrator.store.keys import sweep_key, trial_key
from orchestrator.store.parquet_cache import read_compacted
from orchestrator.store.point_log import read_line
from orchestrator.store.record_files import (
    ATTEMPT_FILE,
    PlanFile,
    StoredAttempt,
    TrialFile,
    attempt_name,
    checking,
    deciding_attempt,
    parse_attempt,
    parse_plan,
    parse_trial,
)
from orchestrator.store.sweep_record import SweepRecord
from orchestrator.store.sweep_results import SweepResults, Verification

__all__ = ["KeptDirectory", "RunDirectory", "files_of", "without_digest"]

POINT_FILE = re.compile(r"points(_\d+_\d+)?\.jsonl")
"""Files of a trial: points.jsonl, or points_<attempt>_<chunk>.jsonl in an object store."""


class RunDirectory:
    """A run directory, opened once: a path, or a URL that fsspec knows such as s3://bucket/runs.

    Opening it reads and writes nothing. Every method raises StoreError when the directory cannot be read, and
    DamagedError when a plan or trial file is not what was written; a damaged record of an attempt is an outcome, in
    the state `damaged`. `RecordStore` adds the methods that write.
    """

    def __init__(self, location: Path | str, files: Files | None = None) -> None:
        """`location` may be a `Path` made from a URL; `files` are those of another place that is laid out alike.

        Raises StoreError for a URL whose backend is not installed.
        """
        self.location = location
        self.files = open_files(location) if files is None else files

    def __str__(self) -> str:
        return self.files.name

    @property
    def local_folder(self) -> Path:
        """The directory itself; for an object store the folder of this machine in which its trials work."""
        return local_folder(self.location)

    def trial_folder(self, trial_id: str) -> Path:
        """Folder of one trial below `local_folder`; with an object store it may be missing."""
        return self.local_folder / trial_key(trial_id)

    def sweep_names(self) -> list[str]:
        """Names of the sweeps planned here, sorted."""
        names = sorted(self.files.names("sweeps"))
        listed = self.files.map(self.files.names, [sweep_key(name, "").rstrip("/") for name in names])
        return [name for name, content in zip(names, listed, strict=True) if "sweep.json" in content]

    def sweep(self, name: str) -> SweepRecord:
        """The plan of the sweep `name`. Raises StoreError when there is none, with the names of the existing ones."""
        return self.plan_file(name).record

    def plan_file(self, name: str) -> PlanFile:
        """`sweep`, and whether its file has a digest."""
        content = self.files.read(sweep_key(name))
        if content is None:
            known = self.sweep_names()
            existing = f"there are: {', '.join(known)}" if known else "it holds no sweep yet"
            raise StoreError(f"{self}: no sweep {name!r}; {existing}. Run `python -m orchestrator.sweep` first")
        return parse_plan(content, name, f"{self}/{sweep_key(name)}")

    def results(self, name: str) -> SweepResults:
        """The sweep `name` with the outcomes of its trials. Raises StoreError as `sweep` does."""
        plan = self.plan_file(name)
        stored = self.deciding_attempts(plan.record.trial_ids, plan=plan.record)
        return results_of(plan.record, stored, plan_verified=plan.verified)

    def kept_plans(self, name: str) -> list[KeptPlan]:
        """Every plan that the sweep `name` has had, oldest first; the last is the current one unless it runs now."""
        return [self.kept_plan(name, number) for number in self.kept_numbers(name)]

    def kept_numbers(self, name: str) -> list[int]:
        """Numbers of the kept plans of the sweep `name`, oldest first."""
        return plan_numbers(self.files.names(sweep_key(name, PLANS)))

    def kept_plan(self, name: str, number: int) -> KeptPlan:
        """One of `kept_plans`. Raises StoreError, with the existing numbers, when there is no such plan."""
        content = self.files.read(plan_key(name, number))
        if content is None:
            known = self.kept_numbers(name)
            listed = (
                f"choose {', '.join(map(str, known))}" if known else "none is kept yet; a sweep keeps it at its end"
            )
            raise StoreError(f"{self}: no plan {number} of the sweep {name!r}; {listed}")
        remedy = "restore it from a copy, or delete it if its table is not needed"
        with checking(f"{self}/{plan_key(name, number)}", "plan", remedy):
            kept = KeptPlan.from_json(unseal(content).values)
            if (kept.sweep.name, kept.number) != (name, number):
                raise ValueError(f"it is plan {kept.number} of sweep {kept.sweep.name!r}")
            return kept

    def kept_results(self, kept: KeptPlan) -> SweepResults:
        """A kept plan with the attempts that its table showed, also where later ones count now."""
        stored = self.deciding_attempts(kept.attempts, plan=kept.sweep)
        others = {
            trial_id: [trial_key(trial_id, attempt_name(attempt))]
            for trial_id, attempt in kept.attempts.items()
            if trial_id not in stored or stored[trial_id].record.attempt != attempt
        }
        earlier = {trial_id: found[0] for trial_id, found in self.stored_attempts(others).items() if found}
        shown = {trial_id: item for trial_id, item in stored.items() if trial_id not in others} | earlier
        return results_of(kept.sweep, shown, plan_verified=kept.verified)

    def trial_facts(self, trial_id: str) -> dict[str, Any]:
        """What a trial's id is a function of: `config`, `data`, `result_version`; empty if it never started.

        Also `code`, the digest of the trainer's code of its latest attempt.
        """
        return self.trial_file(trial_id).facts

    def trial_file(self, trial_id: str) -> TrialFile:
        """`trial_facts`, and whether their file has a digest."""
        key = trial_key(trial_id, "trial.json")
        content = self.files.read(key)
        return TrialFile({}, verified=True) if content is None else parse_trial(content, trial_id, f"{self}/{key}")

    def attempts(self, trial_id: str) -> tuple[AttemptRecord, ...]:
        """All ended attempts at a trial, oldest first."""
        return tuple(item.record for item in self.stored_attempts(self.attempt_keys([trial_id]))[trial_id])

    def outcomes(self, trial_ids: Iterable[str], *, plan: SweepRecord | None = None) -> dict[str, AttemptRecord]:
        """The attempt that counts of each trial: the first `done`, else a damaged one, else the last that ended.

        Attempts with code that `plan` does not accept count only if there is no other.

        Many trials are read from the Parquet caches of the sweeps (`parquet_cache`), that of `plan` first, which gives
        the same result as their own files.
        """
        return {key: item.record for key, item in self.deciding_attempts(trial_ids, plan=plan).items()}

    def deciding_attempts(
        self, trial_ids: Iterable[str], *, plan: SweepRecord | None = None
    ) -> dict[str, StoredAttempt]:
        """The attempts of `outcomes` with their files."""
        wanted = list(dict.fromkeys(trial_ids))
        with collection_paused():
            found = read_compacted(self.files, wanted, prefer=None if plan is None else plan.name)
        if plan is not None:
            found = {key: item for key, item in found.items() if plan.accepts_code(key, item.record.code)}
        keys = self.attempt_keys([trial_id for trial_id in wanted if trial_id not in found])
        with collection_paused():
            others = self.stored_attempts(keys)
        for trial_id, stored in others.items():
            if (decides := deciding_attempt(stored, plan)) is not None:
                found[trial_id] = decides
        return {trial_id: found[trial_id] for trial_id in wanted if trial_id in found}

    def points(self, trial_id: str, offsets: dict[str, int] | None = None) -> Iterator[Point]:
        """The points of a trial's curves in the order written; a line cut short by a crash is skipped.

        `offsets`: bytes already read of each file, by its name; the iterator reads only what follows them and moves
        them forward. Start with an empty dictionary.
        """
        offsets = {} if offsets is None else offsets
        names = files_of(POINT_FILE, self.files.names(trial_key(trial_id)))
        if self.files.remote:  # only the newest chunk grows
            names = [name for name, later in zip_longest(names, names[1:]) if later not in offsets]
        contents = self.files.map(lambda name: self.files.read(trial_key(trial_id, name), offsets.get(name, 0)), names)
        for name, content in zip(names, contents, strict=True):
            for line in (content or b"").splitlines(keepends=True):
                try:
                    point = read_line(line).point
                except ValueError:
                    if not line.endswith(b"\n"):
                        break  # being written at this moment, or cut short: its end may follow
                    point = None  # `python -m orchestrator verify` names it
                offsets[name] = offsets.get(name, 0) + len(line)
                if point is not None:
                    yield point

    def uri(self, key: str) -> str:
        """Address of a file, without a password."""
        if self.files.remote:
            return f"{self.files.name.rstrip('/')}/{key}"
        return (self.local_folder / key).resolve().as_uri()

    def attempt_keys(self, trial_ids: Sequence[str]) -> dict[str, list[str]]:
        """Keys of the records of each trial, oldest first; lists each folder once."""
        listed = self.files.map(self.files.names, [trial_key(trial_id) for trial_id in trial_ids])
        return {
            trial_id: [trial_key(trial_id, name) for name in files_of(ATTEMPT_FILE, names)]
            for trial_id, names in zip(trial_ids, listed, strict=True)
        }

    def stored_attempts(self, keys: Mapping[str, Sequence[str]]) -> dict[str, list[StoredAttempt]]:
        """The records behind `keys`, in the same order for each trial; reads nothing else."""
        every_key = [key for its_keys in keys.values() for key in its_keys]
        contents = iter(self.files.map(self.read_or_damage, every_key))
        return {
            trial_id: [
                parse_attempt(key, content)
                for key, content in zip(its_keys, contents, strict=False)
                if content is not None
            ]
            for trial_id, its_keys in keys.items()
        }

    def read_or_damage(self, key: str) -> bytes | DamagedError | None:
        """Content of a file, or why it cannot be read."""
        try:
            return self.files.read(key)
        except DamagedError as error:
            return error


def results_of(sweep: SweepRecord, stored: Mapping[str, StoredAttempt], *, plan_verified: bool) -> SweepResults:
    """A plan with the attempts that count or that its table showed, by trial id."""
    return SweepResults(
        sweep=sweep,
        outcomes={trial_id: item.record for trial_id, item in stored.items()},
        verification=Verification(plan=plan_verified, without_digest=without_digest(stored)),
    )


def without_digest(stored: Mapping[str, StoredAttempt]) -> frozenset[str]:
    """Ids of the trials whose intact record has no digest."""
    return frozenset(key for key, item in stored.items() if not item.verified and not item.damaged)


def files_of(kind: re.Pattern[str], names: Iterable[str]) -> list[str]:
    """The files of a trial whose name is of `kind`, oldest first, 999 before 1000."""
    return sorted((name for name in names if kind.fullmatch(name)), key=lambda name: (len(name), name))


class KeptDirectory(RunDirectory):
    """A run directory as a kept plan showed it: without the points of later attempts."""

    def __init__(self, location: Path | str, kept: KeptPlan, files: Files | None = None) -> None:
        super().__init__(location, files)
        self.kept = kept

    def points(self, trial_id: str, offsets: dict[str, int] | None = None) -> Iterator[Point]:
        """The points up to the attempt that the plan showed."""
        last = self.kept.last_attempt(trial_id)
        every_point = super().points(trial_id, offsets)
        return (point for point in every_point if point.attempt <= last)
