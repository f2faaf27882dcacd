"""Metrics, tags and tables of a trial's MLflow run, computed from the trial's records; no MLflow is imported."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from orchestrator.store.attempt_record import AttemptRecord, Point, State
from orchestrator.store.record_files import steps_of
from orchestrator.store.sweep_record import PlannedRun
from orchestrator.tracking.mlflow_limits import fit_name
from orchestrator.workload.metric import Metric

__all__ = [
    "REUSED",
    "STATUS",
    "Reading",
    "RunKey",
    "class_table",
    "curve_only",
    "final_readings",
    "key_of",
    "last_step",
    "link_readings",
    "name_of",
    "new_readings",
    "old_name_of",
    "outcome_tags",
    "same",
    "storable",
    "trial_readings",
]

STATUS = dict.fromkeys(State, "FAILED") | {
    State.DONE: "FINISHED",
    State.LOST: "KILLED",
    State.STOPPED: "KILLED",
    State.CANCELLED: "KILLED",
}
"""MLflow's status of a run by the state of its trial."""

REUSED = "reused_from"
"""Tag of a run without curves: the id of the run that holds them."""
LINKED = ("final/", "cost/")
"""Metrics that such a run repeats, so that MLflow's list of runs shows them."""

BARE = ("commit", "host", "device")
"""Facts of an attempt's environment that people filter by; the tags of the others begin with `ENVIRONMENT`."""
ENVIRONMENT, RESOURCES = "environment.", "resources."

LARGEST = 1.7976931348623157e308
"""What MLflow's databases store instead of infinity."""

RunKey = tuple[str, int, str]

fitted = lru_cache(maxsize=4096)(fit_name)
"""Cached: a sweep uses the same few hundred names over and over."""


class Reading(NamedTuple):
    """One value of a metric at a step."""

    key: str
    value: float
    step: int
    time: float
    """Seconds since the epoch."""


def key_of(planned: PlannedRun) -> RunKey:
    """What identifies a child run; a row whose config changed gets a new run."""
    return planned.row, planned.seed, planned.trial_id


def name_of(planned: PlannedRun) -> str:
    """Name of a child run, with the seed before what MLflow cuts: `s0 · pixel memory`."""
    return f"s{planned.seed} · {planned.title}"


def old_name_of(planned: PlannedRun) -> str:
    """The name that it had in version 0.1 until November 2026."""
    return f"{planned.title} · seed {planned.seed}"


def new_readings(points: Iterable[Point], logged: set[tuple[str, int]], last: dict[str, Reading]) -> list[Reading]:
    """The readings of `points` that a run lacks which holds `logged` (metric and step).

    An interrupted trial repeats some steps; the first report of a step counts. `logged` and `last`, the latest reading
    of each metric, are updated; both use MLflow's metric names.
    """
    found = []
    for point in points:
        for key, value in point.metrics.items():
            name = fitted(key)
            if (name, point.step) in logged:
                continue
            logged.add((name, point.step))
            reading = Reading(key, storable(value), point.step, point.time)
            found.append(reading)
            if name not in last or last[name].step <= reading.step:
                last[name] = reading
    return found


def final_readings(record: AttemptRecord, last: Mapping[str, Reading], step: int) -> list[Reading]:
    """The metrics of a record, at step `step` or later, without those that equal the end of their curve."""
    found = []
    for key, value in record.metrics.items():
        end = last.get(fitted(key))
        if end is None or not same(end.value, storable(value)):
            found.append(Reading(key, storable(value), max(step, end.step if end else 0), record.ended_at))
    return found


def trial_readings(points: Iterable[Point], record: AttemptRecord | None, facts: Mapping[str, Any]) -> list[Reading]:
    """All readings of the run of a trial with these facts, in the order they are written."""
    last: dict[str, Reading] = {}
    found = new_readings(points, set(), last)
    return found if record is None else found + final_readings(record, last, last_step(facts, last))


def link_readings(record: AttemptRecord, facts: Mapping[str, Any]) -> list[Reading]:
    """All readings of a run whose curves are in another run."""
    return [item for item in final_readings(record, {}, last_step(facts, {})) if item.key.startswith(LINKED)]


def last_step(facts: Mapping[str, Any], last: Mapping[str, Reading]) -> int:
    """Step of the final metrics: the number of steps of the trial, else the last one of its curves."""
    return int(steps_of(facts) or max((reading.step for reading in last.values()), default=0))


def curve_only(record: AttemptRecord, last: Mapping[str, Reading]) -> list[str]:
    """MLflow's names of the metrics that are on the curves but not in the record; tables do not use them."""
    return sorted(last.keys() - set(map(fitted, record.metrics)))


def outcome_tags(record: AttemptRecord) -> dict[str, str]:
    """How an attempt ended, where it ran and why it failed; values are empty where that is unknown."""
    tags = {"attempt": str(record.attempt), "state": record.state.value}
    tags |= {
        key if key in BARE else f"{ENVIRONMENT}{key}": value
        for key, value in {**dict.fromkeys(BARE, ""), **record.environment}.items()
    }
    tags |= {f"{RESOURCES}{key}": str(value) for key, value in record.resources.items()}
    error = record.error
    tags |= {
        "failure": error.summary if error else "",
        "failure_kind": error.kind if error else "",
        "failure_signature": error.signature if error else "",
    }
    return tags | {"mlflow.source.git.commit": tags["commit"]}


def class_table(family: Metric, metrics: Mapping[str, float]) -> dict[str, Any] | None:
    """The figures of a family per class in MLflow's table format; None for a trial without."""
    rows = [[key.removeprefix(family.name), storable(value)] for key, value in metrics.items() if family.covers(key)]
    return {"columns": ["class", family.file_stem], "data": rows} if rows else None


def storable(value: float) -> float:
    """The value as a database returns it."""
    return math.copysign(LARGEST, value) if math.isinf(value) else float(value)


def same(left: float, right: float) -> bool:
    """Whether the values are equal or both NaN."""
    return left == right or (math.isnan(left) and math.isnan(right))
