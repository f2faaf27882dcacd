"""Example sweeps: a plan and its outcomes, from a few words per row."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from orchestrator.machine.sealed_json import seal
from orchestrator.store.attempt_record import AttemptRecord, ErrorRecord, State
from orchestrator.store.data_set_record import DataSetRecord
from orchestrator.store.keys import sweep_key, trial_key
from orchestrator.store.record_store import RecordStore
from orchestrator.store.sweep_record import PlannedRun, Row, SweepRecord, TableRecord
from orchestrator.store.sweep_results import SweepResults
from orchestrator.workload.data_record import DataRecord

MIOU = "final/miou"


def make_sweep(rows: Mapping[str, Mapping[str, Any]], *, shared: Mapping[str, str] | None = None, **changes: Any):
    """A sweep over `rows` (label -> factors). `shared` maps a row to the row whose trials it uses."""
    seeds = tuple(changes.pop("seeds", (0, 1, 2)))
    columns = tuple(changes.pop("columns", (MIOU,)))
    values = {
        "name": "ablation_memory",
        "question": "Which memory lifts mIoU?",
        "method": "ablation",
        "recipe": "synthetic",
        "metric": MIOU,
        "goal": "maximize",
        "baseline": next(iter(rows)),
        "protocol": "Synthetic test split, crop 96x128, batch 8, 300 steps",
        "spec": "name: ablation_memory\n",
        "table": TableRecord(columns=columns),
        **changes,
    }
    owner = {label: (shared or {}).get(label, label) for label in rows}
    cells = tuple(
        PlannedRun(row=label, seed=seed, trial_id=trial_id(owner[label], seed)) for label in rows for seed in seeds
    )
    return SweepRecord(
        rows=tuple(Row(label=label, factors=factors) for label, factors in rows.items()),
        seeds=seeds,
        cells=cells,
        **values,
    )


def results_of(sweep: SweepRecord, outcomes: Mapping[str, AttemptRecord]) -> SweepResults:
    return SweepResults(sweep=sweep, outcomes=outcomes)


def trial_id(row: str, seed: int) -> str:
    return f"{row}#{seed}".replace("/", "-")


def make_outcomes(
    values: Mapping[str, Sequence[Any]], *, metric: str = MIOU, seeds: Sequence[int] = (0, 1, 2)
) -> dict[str, AttemptRecord]:
    """Outcomes per row and seed: a number or a dict of metrics is done, None was never run, a State is that state."""
    return {
        trial_id(row, seed): attempt(trial_id(row, seed), value, metric)
        for row, cell_texts in values.items()
        for seed, value in zip(seeds, cell_texts, strict=False)
        if value is not None
    }


def attempt(identity: str, value: Any, metric: str) -> AttemptRecord:
    common: dict[str, Any] = {"trial_id": identity, "attempt": 1, "started_at": 0.0, "ended_at": 60.0}
    if isinstance(value, State):
        error = ErrorRecord(kind="DivergedError", message="the loss is nan at step 120")
        # a failed attempt may have left metrics behind; they must never count
        return AttemptRecord(state=value, error=error, metrics={metric: 0.99}, **common)
    metrics = value if isinstance(value, Mapping) else {metric: value}
    return AttemptRecord(state=State.DONE, metrics=metrics, **common)


@pytest.fixture
def sweep_of():
    return make_sweep


@pytest.fixture
def outcomes_of():
    return make_outcomes


@pytest.fixture
def example():
    """A sweep that shows every mark: ranks, a lost seed, a row never run, one half run, one of other code, shared runs,
    an unreported metric.
    """
    sweep = make_sweep(
        {
            "mini-batch, no memory": {"contrast.memory.kind": "none"},
            "w/o contrast": {"contrast.source": "none"},
            "weight 0": {"contrast.weight": 0},
            "pixel memory": {"contrast.memory.kind": "pixel"},
            "region memory": {"contrast.memory.kind": "region"},
            "pixel & region <memory>": {"contrast.memory.kind": "pixel_region"},
            "all | of_it*": {"contrast.memory.pixels_per_class": 5000},
            "half way": {"contrast.memory.pixels_per_class": 50},
        },
        baseline="w/o contrast",
        shared={"weight 0": "w/o contrast"},
        columns=(MIOU, "final/pixel_accuracy", "contrast/purity", "cost/train_minutes", "my_metric"),
    )

    def metrics(miou: float, minutes: float, purity: float | None = None) -> dict[str, float]:
        values = {
            MIOU: miou,
            "final/pixel_accuracy": 0.5 + miou,
            "cost/train_minutes": minutes,
            "my_metric": -miou / 10,
        }
        return values if purity is None else {**values, "contrast/purity": purity}

    outcomes = make_outcomes(
        {
            "mini-batch, no memory": [metrics(0.4212, 2.11), metrics(0.4108, 2.03), metrics(0.4187, 2.2)],
            "w/o contrast": [metrics(0.4105, 1.52), metrics(0.4033, 1.49), metrics(0.4147, 1.61)],
            "pixel memory": [metrics(0.4399, 2.5, 1.0), metrics(0.4251, 2.4, 1.0), metrics(0.4311, 2.6, 1.0)],
            "region memory": [metrics(0.4301, 2.4, 1.0), State.USER_ERROR, metrics(0.4455, 2.5, 1.0)],
            "pixel & region <memory>": [metrics(0.4388, 2.8, 1.0), metrics(0.4312, 2.7, 1.0), metrics(0.45, 2.9, 1.0)],
            "all | of_it*": [State.LOST, None, None],
            "half way": [metrics(0.4222, 2.2, 1.0), None, metrics(0.4333, 2.3, 1.0)],
        }
    )
    for key, record in outcomes.items():
        facts = {"commit": "b" * 40 if key.startswith("pixel memory") else "a" * 40, "data": "d" * 12}
        outcomes[key] = replace(record, environment=facts)
    return results_of(sweep, outcomes)


@pytest.fixture
def store():
    """Writes a plan and its outcomes where `RunDirectory` reads them."""

    def write(run_dir, results):
        sweep, outcomes = results.sweep, results.outcomes
        files = RecordStore(run_dir).files
        files.write(sweep_key(sweep.name), seal(sweep.to_json()))
        for key, outcome in outcomes.items():
            files.write(trial_key(key, "attempt_001.json"), seal(outcome.to_json()))

    return write


DATA_SETS = ("CamVid", "own data")


def make_data_results(
    values: Mapping[str, Mapping[str, Sequence[Any]]],
    *,
    data_sets: Sequence[str] = DATA_SETS,
    seeds: Sequence[int] = (0, 1, 2),
    **changes: Any,
):
    """Results of a sweep over several data sets: row -> data set -> values as for `make_outcomes`."""
    sweep = make_sweep({row: {"contrast.source": row} for row in values}, seeds=seeds, **changes)
    facts = tuple(
        DataSetRecord(
            name=name,
            recipe="synthetic",
            protocol=f"{name}, test split (48 images, trained on 96), crop 64x96",
            data=(DataRecord(title=name, name=name.lower(), class_names=("a", "b"), roles={"test": "test"}),),
        )
        for name in data_sets
    )
    cells = tuple(
        PlannedRun(
            row=row, seed=seed, trial_id=trial_id(f"{row}@{name}", seed), data=name if len(data_sets) > 1 else ""
        )
        for row in values
        for name in data_sets
        for seed in seeds
    )
    outcomes: dict[str, AttemptRecord] = {}
    for row, by_data in values.items():
        for name, numbers in by_data.items():
            outcomes |= make_outcomes({f"{row}@{name}": numbers}, seeds=seeds)
    data = tuple(item for data_set in facts for item in data_set.data)
    return SweepResults(sweep=replace(sweep, cells=cells, data_sets=facts, data=data), outcomes=outcomes)


@pytest.fixture
def data_results_of():
    return make_data_results


@pytest.fixture
def two_data_sets():
    """Rows x data sets: a row better on one of them only, a lost seed, a row that was never run on the second."""

    def metrics(values: Sequence[float]) -> list[dict[str, float]]:
        return [
            {
                MIOU: value,
                "cost/train_minutes": 1.5 + value,
                "final/iou/road": value + 0.2,
                "final/iou/car": value - 0.1,
            }
            for value in values
        ]

    return make_data_results(
        {
            "w/o contrast": {
                "CamVid": metrics([0.4105, 0.4033, 0.4147]),
                "own data": metrics([0.6105, 0.6033, 0.6147]),
            },
            "pixel memory": {
                "CamVid": metrics([0.4399, 0.4331, 0.4441]),
                "own data": metrics([0.6101, 0.6053, 0.6140]),
            },
            "region memory": {
                "CamVid": [*metrics([0.4301]), State.USER_ERROR, *metrics([0.4455])],
                "own data": [None, None, None],
            },
        },
        columns=(MIOU, "cost/train_minutes"),
        protocol="CamVid, test split (48 images, trained on 96), own data, test split (48 images, trained on 96)",
    )
