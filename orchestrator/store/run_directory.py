"""RunDirectory: a run directory, for reading its records."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any, TypeVar

from orchestrator.errors import StoreError
from orchestrator.store.backends import local_folder, open_files
from orchestrator.store.parquet_cache import StoredAttempt, read_compacted
from orchestrator.store.records import AttemptRecord, Point, State, SweepRecord, sweep_key, trial_key
from orchestrator.store.sweep_results import SweepResults

__all__ = ["RunDirectory"]

T = TypeVar("T")

ATTEMPT_FILE = re.compile(r"attempt_(\d+)\.json")
POINT_FILE = re.compile(r"points(_\d+_\d+)?\.jsonl")
"""Files of a trial: points.jsonl, or points_<attempt>_<chunk>.jsonl in an object store."""


class RunDirectory:
    """A run directory, opened once: a path, or a URL that fsspec knows such as s3://bucket/runs.

    Opening it reads and writes nothing. Every method raises StoreError when the directory cannot be read or a record
    is damaged. `RecordStore` adds the methods that write.
    """

    def __init__(self, location: Path | str) -> None:
        """`location` may be a `Path` made from a URL. Raises StoreError for a URL whose backend is not installed."""
        self.location = location
        self.files = open_files(location)

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
        content = self.files.read(sweep_key(name))
        if content is None:
            known = self.sweep_names()
            existing = f"there are: {', '.join(known)}" if known else "it holds no sweep yet"
            raise StoreError(f"{self}: no sweep {name!r}; {existing}. Run `python -m orchestrator.sweep` first")
        return parse(SweepRecord.from_json, content, f"{self}/{sweep_key(name)}")

    def results(self, name: str) -> SweepResults:
        """The sweep `name` with the outcomes of its trials. Raises StoreError as `sweep` does."""
        sweep = self.sweep(name)
        return SweepResults(sweep=sweep, outcomes=self.outcomes(sweep.trial_ids, plan=sweep))

    def trial_facts(self, trial_id: str) -> dict[str, Any]:
        """What a trial's id is a function of: `config`, `data`, `result_version`; empty if it never started.

        Also `code`, the digest of the trainer's code of its latest attempt.
        """
        key = trial_key(trial_id, "trial.json")
        content = self.files.read(key)
        if content is None:
            return {}
        return parse(lambda values: {**values, "config": dict(values["config"])}, content, f"{self}/{key}")

    def attempts(self, trial_id: str) -> tuple[AttemptRecord, ...]:
        """All ended attempts at a trial, oldest first."""
        return tuple(item.record for item in self.stored_attempts(self.attempt_keys([trial_id]))[trial_id])

    def outcomes(self, trial_ids: Iterable[str], *, plan: SweepRecord | None = None) -> dict[str, AttemptRecord]:
        """The attempt that counts for `plan` (`deciding_attempt`), for each trial with an ended attempt.

        Many trials are read from the Parquet caches of the sweeps (`parquet_cache`), that of `plan` first, which gives
        the same result as their own files.
        """
        wanted = list(dict.fromkeys(trial_ids))
        cached = read_compacted(self.files, wanted, prefer=None if plan is None else plan.name)
        parsed = {
            trial_id: parse(AttemptRecord.from_json, text, f"{self}: compacted record of {trial_id}")
            for trial_id, text in cached.items()
        }
        outcomes = {
            key: record for key, record in parsed.items() if plan is None or plan.accepts_code(key, record.code)
        }
        keys = self.attempt_keys([trial_id for trial_id in wanted if trial_id not in outcomes])
        for trial_id, stored in self.stored_attempts(keys).items():
            outcome = deciding_attempt([item.record for item in stored], plan)
            if outcome is not None:
                outcomes[trial_id] = outcome
        return {trial_id: outcomes[trial_id] for trial_id in wanted if trial_id in outcomes}

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
                    point = Point(**json.loads(line))
                except (ValueError, TypeError):
                    if not line.endswith(b"\n"):
                        break  # being written at this moment, or cut short: its end may follow
                    point = None
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
        contents = iter(self.files.map(self.files.read, every_key))
        return {
            trial_id: [
                StoredAttempt(key, content.decode(), parse(AttemptRecord.from_json, content, f"{self}/{key}"))
                for key, content in zip(its_keys, contents, strict=False)
                if content is not None
            ]
            for trial_id, its_keys in keys.items()
        }


def attempt_name(attempt: int) -> str:
    """Name of the file of an attempt's record, in the trial's folder."""
    return f"attempt_{attempt:03d}.json"


def files_of(kind: re.Pattern[str], names: Iterable[str]) -> list[str]:
    """The files of a trial whose name is of `kind`, oldest first, 999 before 1000."""
    return sorted((name for name in names if kind.fullmatch(name)), key=lambda name: (len(name), name))


def deciding_attempt(attempts: Sequence[AttemptRecord], plan: SweepRecord | None = None) -> AttemptRecord | None:
    """The attempt that counts: the first `done`, else the last; None without an attempt.

    Attempts with code that `plan` does not accept count only if there is no other.
    """
    accepted = [item for item in attempts if plan is None or plan.accepts_code(item.trial_id, item.code)]
    counted = accepted or attempts
    last = counted[-1] if counted else None
    return next((attempt for attempt in counted if attempt.state is State.DONE), last)


def parse(build: Callable[[Mapping[str, Any]], T], content: bytes | str, name: str) -> T:
    """Build an object from a JSON record. Raises StoreError, with `name`, when it is damaged or foreign."""
    remedy = "delete the file to run that trial again"
    if not content:
        raise StoreError(f"{name}: damaged record (empty: the machine crashed while it was written); {remedy}")
    try:
        return build(json.loads(content))
    except ValueError as error:
        raise StoreError(f"{name}: damaged record ({error}); {remedy}") from error
    except (KeyError, TypeError, AttributeError) as error:
        what = f"{type(error).__name__}: {error}"
        raise StoreError(f"{name}: not a record of this version ({what}); {remedy}") from error
