"""What is kept on disk, and how to read it: the contract between the orchestrator (writes) and the reports (read).

<run_dir>/sweeps/<sweep>/sweep.json                what was promised: rows, seeds, trial ids, the table wanted
<run_dir>/sweeps/<sweep>/records.parquet           the finished trials again, quick to read; may be deleted
<run_dir>/trials/<trial_id>/trial.json             the resolved config behind the id
<run_dir>/trials/<trial_id>/attempt_001.json       how an attempt ended; written once, at its end
<run_dir>/trials/<trial_id>/points.jsonl           the curve: one line per report, appended while running;
                                                   in an object store points_001_00001.jsonl and so on
<run_dir>/trials/<trial_id>/last.pt, best.pt       checkpoints (the trainer's)

`run_dir` is a path or a URL that fsspec knows, such as s3://bucket/runs (`orchestrator.store.backends`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal, NamedTuple, Self, TypeVar

from orchestrator.store.parquet_cache import read_compacted
from orchestrator.errors import StoreError
from orchestrator.store.backends import Files, local_folder, open_files

__all__ = [
    "SEARCHES",
    "AttemptRecord",
    "Cell",
    "ErrorRecord",
    "Point",
    "Row",
    "State",
    "SweepRecord",
    "TableRecord",
    "read_attempts",
    "read_outcomes",
    "read_points",
    "read_sweep",
    "read_trial_config",
    "read_trial_facts",
    "sweep_key",
    "sweep_names",
    "sweep_path",
    "trial_folder",
    "trial_key",
]

T = TypeVar("T")
Layout = Literal["auto", "list", "groups", "matrix"]

ATTEMPT_FILE = re.compile(r"attempt_\d+\.json")
POINT_FILE = re.compile(r"points(_\d+_\d+)?\.jsonl")


SEARCHES = ("random", "tpe")
"""Methods whose trials are drawn while the sweep runs; of the others all rows are known when it is planned."""


class State(StrEnum):
    """How an attempt ended. Only `done` counts as a result; `orchestrator.running.failures` says what the others lead to."""

    DONE = "done"
    OUT_OF_MEMORY = "out_of_memory"
    """The memory of its device, or of its share of it, did not suffice."""
    LOST = "lost"
    """Its process or node died."""
    DIVERGED = "diverged"
    """The loss was no number any more."""
    TIMED_OUT = "timed_out"
    """It took longer than `budget.trial_hours`."""
    USER_ERROR = "user_error"
    """The trial raised; `error.kind` says what."""
    DATA_ERROR = "data_error"
    """An image or label could not be read."""
    STOPPED = "stopped"
    """A scheduler gave up on it: a record of its own kind, never a result."""
    CANCELLED = "cancelled"
    """The user or the end of the budget stopped it in mid-run."""

    @classmethod
    def _missing_(cls, value: object) -> State | None:
        """`failed`, in records of version 0.1, is a user error."""
        return cls.USER_ERROR if value == "failed" else None


@dataclass(frozen=True, kw_only=True, slots=True)
class ErrorRecord:
    """Why an attempt failed."""

    kind: str
    """Class name of the exception, for example `DataError`."""
    message: str
    """One line."""
    traceback: str = ""
    signature: str = ""
    """Equal for failures at the same place in the code (`orchestrator.running.failures`)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class AttemptRecord:
    """One immutable record per attempt at a trial."""

    trial_id: str
    attempt: int
    """1 for the first."""
    state: State
    started_at: float
    """Seconds since the epoch."""
    ended_at: float
    metrics: Mapping[str, float] = field(default_factory=dict)
    """Final scalars: `final/miou`, `final/pixel_accuracy`, `final/iou/<class>`, `cost/...`, `contrast/...`."""
    error: ErrorRecord | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    """`commit`, `dirty`, `diff`, `host`, `device`, `torch`, `python`, and the digest of its `data`."""
    resources: Mapping[str, float] = field(default_factory=dict)
    """`cpus` and `gpus` it held."""

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Inverse of `to_json`."""
        error = values.get("error")
        return cls(**{**values, "state": State(values["state"]), "error": ErrorRecord(**error) if error else None})


@dataclass(frozen=True, kw_only=True, slots=True)
class Point:
    """One point of a trial's curves."""

    step: int
    metrics: Mapping[str, float]
    """Grouped names: `train/loss`, `val/miou`, `contrast/purity`."""
    time: float = 0.0
    """Seconds since the epoch."""
    attempt: int = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """A row of the ablation, or one combination of a grid."""

    label: str
    factors: Mapping[str, Any]
    """Dotted config keys and the values this row sets."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Cell:
    """One planned run: which trial answers for a row and a seed. Rows that compute the same share a trial."""

    row: str
    seed: int
    trial_id: str


@dataclass(frozen=True, kw_only=True, slots=True)
class TableRecord:
    """What the user asked of the table."""

    caption: str = ""
    label: str = ""
    columns: tuple[str, ...] = ("final/miou", "final/pixel_accuracy", "cost/train_minutes")
    published: str | None = None
    """Stem of a file in reports/published/ to show beside ours."""
    rows: tuple[str, ...] = ()
    """Labels of the rows to show, in this order; empty: all."""
    top: int | None = None
    """So many rows are shown, best first, below the baseline; None: all, of a search the best ten."""
    layout: Layout = "auto"
    """`list`: a line per row; `groups`: equal neighbours of the leading factors merged; `matrix`: one factor down, one
    across; `auto`: what suits the method."""
    group: tuple[str, ...] = ()
    """Factors (dotted keys) by which lines are grouped, or the one that runs down a matrix."""
    precision: Mapping[str, int] = field(default_factory=dict)
    """Decimals of columns that differ from the usual."""
    direction: Mapping[str, str] = field(default_factory=dict)
    """`up` or `down` by column, where it differs from the usual."""
    split: str = "test"
    """`test`: columns `final/...` are the declared test split's; `val`: the validation split's stand in their place."""
    intervals: bool = False
    """A column with the 95 % interval of each difference, and its p."""

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Inverse of `asdict`; what a file of an older version lacks has its default."""
        lists = {key: tuple(values[key]) for key in ("columns", "rows", "group") if key in values}
        return cls(**{**values, **lists})


@dataclass(frozen=True, kw_only=True, slots=True)
class SweepRecord:
    """What a sweep promised. A table is drawn from this, so it knows its holes."""

    name: str
    """`ablation_memory`, or `ablation_memory@camvid_lite0` when the recipe is not the specification's own."""
    question: str
    method: str
    recipe: str
    metric: str
    goal: str
    """`maximize` or `minimize`."""
    baseline: str | None
    rows: tuple[Row, ...]
    seeds: tuple[int, ...]
    cells: tuple[Cell, ...]
    table: TableRecord = field(default_factory=TableRecord)
    protocol: str = ""
    """One sentence for the caption: data set, split, crop, batch, steps, seeds."""
    spec: str = ""
    """Text of the search space file."""
    search: Mapping[str, Any] = field(default_factory=dict)
    """Of a search its `sampler`, `trials`, `objectives` and `parameters`; else empty."""
    looks: tuple[int, int] | None = None
    """Of `seeds: {until: decided}` the fewest and the most seeds of a row; tests are corrected for the looks."""
    command: str = ""
    """The command line that runs all of it, quoted for a shell; empty when it was run from Python."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """What holds for every row unless it says otherwise: recipe, then `fixed`, then `--set`."""
    models: str = "none"
    """Checkpoint of each trial that MLflow gets as a model: `best`, `last` or `none`."""

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Inverse of `to_json`."""
        return cls(
            **{
                **values,
                "rows": tuple(Row(**row) for row in values["rows"]),
                "seeds": tuple(values["seeds"]),
                "cells": tuple(Cell(**cell) for cell in values["cells"]),
                "table": TableRecord.from_json(values["table"]),
                "looks": tuple(values["looks"]) if values.get("looks") else None,
            }
        )


def trial_key(trial_id: str, name: str = "") -> str:
    """A trial's folder below the run directory, or a file in it."""
    return f"trials/{trial_id}/{name}" if name else f"trials/{trial_id}"


def sweep_key(name: str, file: str = "sweep.json") -> str:
    """A file of a sweep below the run directory."""
    return f"sweeps/{name}/{file}"


def trial_folder(run_dir: Path | str, trial_id: str) -> Path:
    """Folder of one trial on this machine; with an object store the one where it works, which may not be there."""
    return local_folder(run_dir) / trial_key(trial_id)


def sweep_path(run_dir: Path | str, name: str) -> Path:
    """File of one sweep's promise; for a local run directory."""
    return local_folder(run_dir) / sweep_key(name)


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

    Where many are asked for, those that a compacted sweep (`orchestrator.store.parquet_cache`) vouches for come from there,
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
