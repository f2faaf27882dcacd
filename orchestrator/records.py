"""What is kept on disk, and how to read it: the contract between the orchestrator (writes) and the reports (read).

<run_dir>/sweeps/<sweep>/sweep.json                what was promised: rows, seeds, trial ids, the table wanted
<run_dir>/trials/<trial_id>/trial.json             the resolved config behind the id
<run_dir>/trials/<trial_id>/attempt_001.json       how an attempt ended; written once, at its end
<run_dir>/trials/<trial_id>/points.jsonl           the curve: one line per report, appended while running
<run_dir>/trials/<trial_id>/last.pt, best.pt       checkpoints (the trainer's)
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Self

from orchestrator.errors import StoreError

__all__ = [
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
    "sweep_path",
    "trial_folder",
]


class State(StrEnum):
    """How an attempt ended. Only `done` counts as a result; `orchestrator.failures` says what the others lead to."""

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
    """Equal for failures at the same place in the code (`orchestrator.failures`)."""


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
    """`commit`, `dirty`, `diff`, `host`, `device`, `torch`, `python`."""
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

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Inverse of `to_json`."""
        table = values["table"]
        return cls(
            **{
                **values,
                "rows": tuple(Row(**row) for row in values["rows"]),
                "seeds": tuple(values["seeds"]),
                "cells": tuple(Cell(**cell) for cell in values["cells"]),
                "table": TableRecord(**{**table, "columns": tuple(table["columns"])}),
            }
        )


def trial_folder(run_dir: Path, trial_id: str) -> Path:
    """Folder of one trial."""
    return run_dir / "trials" / trial_id


def sweep_path(run_dir: Path, name: str) -> Path:
    """File of one sweep's promise."""
    return run_dir / "sweeps" / name / "sweep.json"


def read_sweep(run_dir: Path, name: str) -> SweepRecord:
    """The promise of sweep `name`. Raises StoreError when there is none, naming those there are."""
    path = sweep_path(run_dir, name)
    if not path.is_file():
        known = sorted(item.parent.name for item in run_dir.glob("sweeps/*/sweep.json"))
        there = f"there are: {', '.join(known)}" if known else "it holds no sweep yet"
        raise StoreError(f"{run_dir}: no sweep {name!r}; {there}. Run `python -m orchestrator.sweep` first")
    return SweepRecord.from_json(read_json(path))


def read_json(path: Path) -> Any:
    """Parsed content of a JSON file. Raises StoreError naming the file when it is damaged."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise StoreError(f"{path}: damaged record ({error}); delete the file to run that part again") from error


def read_trial_config(run_dir: Path, trial_id: str) -> dict[str, Any]:
    """The canonical config behind a trial's id, by dotted key; empty for a trial never started."""
    path = trial_folder(run_dir, trial_id) / "trial.json"
    config: dict[str, Any] = read_json(path)["config"] if path.is_file() else {}
    return config


def read_attempts(run_dir: Path, trial_id: str) -> tuple[AttemptRecord, ...]:
    """All ended attempts at a trial, oldest first; empty for a trial never tried."""
    files = sorted(trial_folder(run_dir, trial_id).glob("attempt_*.json"))
    return tuple(AttemptRecord.from_json(read_json(path)) for path in files)


def read_outcomes(run_dir: Path, trial_ids: Iterable[str]) -> dict[str, AttemptRecord]:
    """For each trial with an ended attempt the one that counts: the first `done`, else the last."""
    outcomes: dict[str, AttemptRecord] = {}
    for trial_id in dict.fromkeys(trial_ids):
        attempts = read_attempts(run_dir, trial_id)
        if attempts:
            done = [attempt for attempt in attempts if attempt.state is State.DONE]
            outcomes[trial_id] = done[0] if done else attempts[-1]
    return outcomes


def read_points(run_dir: Path, trial_id: str) -> Iterator[Point]:
    """The curve in the order written; a line cut short by a crash is passed over."""
    path = trial_folder(run_dir, trial_id) / "points.jsonl"
    if not path.is_file():
        return
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            try:
                yield Point(**json.loads(line))
            except ValueError:
                continue
