"""What a trial is in MLflow, as a function of its records alone: the mirror writes it, the check compares it."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from orchestrator.store.records import AttemptRecord, PlannedRun, Point, State
from orchestrator.tracking.mlflow_limits import fit_name

__all__ = [
    "IOU_TABLE",
    "STATUS",
    "CellKey",
    "Reading",
    "as_text",
    "curve_only",
    "final_readings",
    "iou_table",
    "key_of",
    "last_step",
    "link_readings",
    "new_readings",
    "outcome_tags",
    "same",
    "trial_readings",
]

STATUS = dict.fromkeys(State, "FAILED") | {
    State.DONE: "FINISHED",
    State.LOST: "KILLED",
    State.STOPPED: "KILLED",
    State.CANCELLED: "KILLED",
}
"""MLflow's word for how a run ended."""

LINKED = ("final/", "cost/")
"""What a run that stands for another one repeats of it, so that a table of runs has the figures."""

BARE = ("commit", "host", "device")
"""Facts of an attempt's environment that people filter by; the others' tags begin with `ENVIRONMENT`."""
ENVIRONMENT, RESOURCES = "environment.", "resources."

IOU_PREFIX = "final/iou/"
IOU_TABLE = "per_class_iou.json"
LARGEST = 1.7976931348623157e308
"""What MLflow's databases keep of an infinity."""

CellKey = tuple[str, int, str]

fitted = lru_cache(maxsize=4096)(fit_name)
"""The same few hundred names come again and again."""


class Reading(NamedTuple):
    """One point of a metric."""

    key: str
    value: float
    step: int
    time: float
    """Seconds since the epoch."""


def key_of(cell: PlannedRun) -> CellKey:
    """What makes a child run the run of this cell: a row that was changed gets a new one."""
    return cell.row, cell.seed, cell.trial_id


def new_readings(points: Iterable[Point], logged: set[tuple[str, int]], last: dict[str, Reading]) -> list[Reading]:
    """What `points` add to a run that holds `logged` (metric and step); an interrupted trial repeats some steps.

    Of a step that was reported twice the first report counts. `logged`, and by metric the `last` reading, go along;
    in both the metrics have MLflow's names.
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
    """The figures of a record, at the last step; those that a curve ends with already are left out."""
    found = []
    for key, value in record.metrics.items():
        end = last.get(fitted(key))
        if end is None or not same(end.value, storable(value)):
            found.append(Reading(key, storable(value), max(step, end.step if end else 0), record.ended_at))
    return found


def trial_readings(points: Iterable[Point], record: AttemptRecord | None, config: Mapping[str, Any]) -> list[Reading]:
    """Everything that the run of a trial holds, in the order it is written."""
    last: dict[str, Reading] = {}
    found = new_readings(points, set(), last)
    return found if record is None else found + final_readings(record, last, last_step(config, last))


def link_readings(record: AttemptRecord, config: Mapping[str, Any]) -> list[Reading]:
    """Everything that a run holds which stands for another one."""
    return [item for item in final_readings(record, {}, last_step(config, {})) if item.key.startswith(LINKED)]


def last_step(config: Mapping[str, Any], last: Mapping[str, Reading]) -> int:
    """Step at which final figures stand: the trial's last, as its config says."""
    return int(config.get("schedule.steps") or max((reading.step for reading in last.values()), default=0))


def curve_only(record: AttemptRecord, last: Mapping[str, Reading]) -> list[str]:
    """Metrics of the curve, by MLflow's names, that the record does not have: a table has no use for them."""
    return sorted(last.keys() - set(map(fitted, record.metrics)))


def outcome_tags(record: AttemptRecord) -> dict[str, str]:
    """How an attempt ended, on which machine and code, and why; empty where that is not known."""
    tags = {"attempt": str(record.attempt), "state": record.state.value}
    tags |= {
        key if key in BARE else f"{ENVIRONMENT}{key}": value
        for key, value in {**dict.fromkeys(BARE, ""), **record.environment}.items()
    }
    tags |= {f"{RESOURCES}{key}": str(value) for key, value in record.resources.items()}
    error = record.error
    tags |= {
        "failure": f"{error.kind}: {error.message}" if error else "",
        "failure_kind": error.kind if error else "",
        "failure_signature": error.signature if error else "",
    }
    return tags | {"mlflow.source.git.commit": tags["commit"]}


def iou_table(metrics: Mapping[str, float]) -> dict[str, Any] | None:
    """Intersection over union by class as MLflow shows tables; None for a trial without."""
    rows = [
        [key.removeprefix(IOU_PREFIX), storable(value)] for key, value in metrics.items() if key.startswith(IOU_PREFIX)
    ]
    return {"columns": ["class", "iou"], "data": rows} if rows else None


def as_text(value: Any) -> str:
    """A config value as a person would type it."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def storable(value: float) -> float:
    """The value as a database gives it back."""
    return math.copysign(LARGEST, value) if math.isinf(value) else float(value)


def same(left: float, right: float) -> bool:
    """Equal, or neither is a number."""
    return left == right or (math.isnan(left) and math.isnan(right))
