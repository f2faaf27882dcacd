"""Reads the records of a run directory."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from orchestrator.errors import StoreError
from orchestrator.store.backends import Files, open_files
from orchestrator.store.parquet_cache import read_compacted
from orchestrator.store.records import AttemptRecord, Point, State, SweepRecord, sweep_key, trial_key

T = TypeVar("T")

__all__ = [
    "read_attempts",
    "read_outcomes",
    "read_points",
    "read_sweep",
    "read_trial_config",
    "read_trial_facts",
    "sweep_names",
]

ATTEMPT_FILE = re.compile(r"attempt_\d+\.json")


POINT_FILE = re.compile(r"points(_\d+_\d+)?\.jsonl")


def sweep_names(run_dir: Path | str) -> list[str]:
    """Names of the sweeps promised in this run directory, sorted."""
    files = open_files(run_dir)
    names = sorted(files.names("sweeps"))
    there = files.names_all([sweep_key(name, "").rstrip("/") for name in names])
    return [name for name, content in zip(names, there, strict=True) if "sweep.json" in content]


def read_sweep(run_dir: Path | str, name: str) -> SweepRecord:
    """The promise of sweep `name`. Raises StoreError when there is none, naming those there are."""
    files = open_files(run_dir)
    content = files.read(sweep_key(name))
    if content is None:
        known = sweep_names(run_dir)
        there = f"there are: {', '.join(known)}" if known else "it holds no sweep yet"
        raise StoreError(f"{files.name}: no sweep {name!r}; {there}. Run `python -m orchestrator.sweep` first")
    return parse(SweepRecord.from_json, content, f"{files.name}/{sweep_key(name)}")


def read_trial_config(run_dir: Path | str, trial_id: str) -> dict[str, Any]:
    """The canonical config behind a trial's id, by dotted key; empty for a trial never started."""
    return dict(read_trial_facts(run_dir, trial_id).get("config", {}))


def read_trial_facts(run_dir: Path | str, trial_id: str) -> dict[str, Any]:
    """What a trial's id is a function of: `config`, `data`, `result_version`; empty for a trial never started."""
    files, key = open_files(run_dir), trial_key(trial_id, "trial.json")
    content = files.read(key)
    return {} if content is None else parse(facts_of, content, f"{files.name}/{key}")


def read_attempts(run_dir: Path | str, trial_id: str) -> tuple[AttemptRecord, ...]:
    """All ended attempts at a trial, oldest first; empty for a trial never tried."""
    files = open_files(run_dir)
    return tuple(item.record for item in stored_attempts(files, attempt_keys(files, [trial_id]))[trial_id])


def read_outcomes(
    run_dir: Path | str, trial_ids: Iterable[str], *, sweep: str | None = None
) -> dict[str, AttemptRecord]:
    """For each trial with an ended attempt the one that counts: the first `done`, else the last.

    Where many are asked for, those that a compacted sweep (`parquet_cache`) vouches for come from there,
    from that of `sweep` first; the others from their own files, as all did if there were no compacted sweep.
    """
    files, wanted = open_files(run_dir), list(dict.fromkeys(trial_ids))
    found = read_compacted(files, wanted, prefer=sweep)
    outcomes: dict[str, AttemptRecord] = {}
    for trial_id, text in found.items():
        outcomes[trial_id] = parse(AttemptRecord.from_json, text, f"{files.name}: compacted record of {trial_id}")
    keys = attempt_keys(files, [trial_id for trial_id in wanted if trial_id not in found])
    for trial_id, stored in stored_attempts(files, keys).items():
        outcome = deciding([item.record for item in stored])
        if outcome is not None:
            outcomes[trial_id] = outcome
    return {trial_id: outcomes[trial_id] for trial_id in wanted if trial_id in outcomes}


def read_points(run_dir: Path | str, trial_id: str) -> Iterator[Point]:
    """The curve in the order written; a line cut short by a crash is passed over."""
    files = open_files(run_dir)
    keys = [trial_key(trial_id, name) for name in point_files(files.names(trial_key(trial_id)))]
    for content in files.read_all(keys):
        for line in (content or b"").splitlines():
            try:
                yield Point(**json.loads(line))
            except (ValueError, TypeError):
                continue


def point_files(names: Iterable[str]) -> list[str]:
    """Those of a trial's files that hold its curve, oldest first: points.jsonl, points_<attempt>_<chunk>.jsonl."""
    return in_order(name for name in names if POINT_FILE.fullmatch(name))


def attempt_name(attempt: int) -> str:
    """File, in a trial's folder, of the record of an attempt."""
    return f"attempt_{attempt:03d}.json"


def attempt_number(name: str) -> int:
    """Inverse of `attempt_name`."""
    return int(name.removeprefix("attempt_").removesuffix(".json"))


def attempt_files(names: Iterable[str]) -> list[str]:
    """Those of a trial's files that say how an attempt ended, oldest first."""
    return in_order(name for name in names if ATTEMPT_FILE.fullmatch(name))


def in_order(names: Iterable[str]) -> list[str]:
    """Sorted so that 999 comes before 1000."""
    return sorted(names, key=lambda name: (len(name), name))


class StoredAttempt(NamedTuple):
    """A record and where it lies."""

    key: str
    text: str
    """The JSON as it was written."""
    record: AttemptRecord


def attempt_keys(files: Files, trial_ids: Sequence[str]) -> dict[str, list[str]]:
    """Where the records of each trial lie, oldest first; one look into each folder."""
    listed = files.names_all([trial_key(trial_id) for trial_id in trial_ids])
    return {
        trial_id: [trial_key(trial_id, name) for name in attempt_files(names)]
        for trial_id, names in zip(trial_ids, listed, strict=True)
    }


def stored_attempts(files: Files, keys: Mapping[str, Sequence[str]]) -> dict[str, list[StoredAttempt]]:
    """The records behind `keys`, for each trial in the same order; nothing else is opened."""
    every_key = [key for its_keys in keys.values() for key in its_keys]
    contents = iter(files.read_all(every_key))
    return {
        trial_id: [
            StoredAttempt(key, content.decode(), parse(AttemptRecord.from_json, content, f"{files.name}/{key}"))
            for key, content in zip(its_keys, contents, strict=False)
            if content is not None
        ]
        for trial_id, its_keys in keys.items()
    }


def deciding(attempts: Sequence[AttemptRecord]) -> AttemptRecord | None:
    """The attempt that counts: the first `done`, else the last; None where nothing was tried."""
    last = attempts[-1] if attempts else None
    return next((attempt for attempt in attempts if attempt.state is State.DONE), last)


def facts_of(values: Mapping[str, Any]) -> dict[str, Any]:
    """A parsed trial.json, which has a config at least."""
    return {**values, "config": dict(values["config"])}


def parse(build: Callable[[Mapping[str, Any]], T], content: bytes | str, name: str) -> T:
    """What `build` makes of a JSON record. Raises StoreError, calling it `name`, when it is damaged or foreign."""
    remedy = "delete the file to run that part again"
    if not content:
        raise StoreError(f"{name}: damaged record (empty: the machine went down while it was written); {remedy}")
    try:
        return build(json.loads(content))
    except ValueError as error:
        raise StoreError(f"{name}: damaged record ({error}); {remedy}") from error
    except (KeyError, TypeError, AttributeError) as error:
        what = f"{type(error).__name__}: {error}"
        raise StoreError(f"{name}: not a record of this version ({what}); {remedy}") from error
