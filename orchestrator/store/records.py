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

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Any, Literal, Self, TypeVar

__all__ = [
    "SEARCHES",
    "AttemptRecord",
    "ErrorRecord",
    "PlannedRun",
    "Point",
    "Row",
    "State",
    "SweepRecord",
    "TableRecord",
    "sweep_key",
    "trial_key",
]

T = TypeVar("T")
Layout = Literal["auto", "list", "groups", "matrix"]


SEARCHES = ("random", "tpe")
"""Methods whose trials are drawn while the sweep runs; of the others all rows are known when it is planned."""


class State(StrEnum):
    """How an attempt ended. Only `done` counts as a result; `failures` says what the others lead to."""

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

    @property
    def words(self) -> str:
        """For messages: `out of memory`."""
        return self.value.replace("_", " ")

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
class PlannedRun:
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


@dataclass(frozen=True, kw_only=True)
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
    cells: tuple[PlannedRun, ...]
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

    @cached_property
    def trial_ids(self) -> tuple[str, ...]:
        """Ids of all planned trials, once each, in the order of the plan."""
        return tuple(dict.fromkeys(run.trial_id for run in self.cells))

    @cached_property
    def labels(self) -> Mapping[str, str]:
        """`row, seed 0` by trial id; a trial that several rows share is called by the first of them."""
        return {run.trial_id: f"{run.row}, seed {run.seed}" for run in reversed(self.cells)}

    def label_of(self, trial_id: str) -> str:
        """`row, seed 0`; the id itself for a trial that is not planned here."""
        return self.labels.get(trial_id, trial_id)

    @property
    def is_search(self) -> bool:
        """Whether trials are drawn while the sweep runs."""
        return self.method in SEARCHES

    def ends_trial(self, state: State) -> bool:
        """Whether a trial in this state needs no further attempt.

        A scheduler's `stopped` is an answer to a search; a row of an ablation or a grid needs the whole trial.
        """
        return state is State.DONE or (state is State.STOPPED and self.is_search)

    def better(self, value: float, other: float) -> bool:
        """Whether `value` of the metric is better than `other`."""
        return value < other if self.goal == "minimize" else value > other

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
                "cells": tuple(PlannedRun(**cell) for cell in values["cells"]),
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
