"""Importance of parameters, in cases whose answer is known."""

import random
from dataclasses import replace

import pytest

from orchestrator.store.attempt_record import AttemptRecord, State
from orchestrator.store.sweep_record import PlannedRun, Row, SweepRecord
from orchestrator.store.sweep_results import SweepResults
from reports.tables.importance import importance, objective_values

PARAMETERS = [
    {"key": "optim.lr", "kind": "log_uniform", "low": 1e-4, "high": 1.0, "step": None, "choices": (), "when": {}},
    {
        "key": "data.crop",
        "kind": "categorical",
        "low": None,
        "high": None,
        "step": None,
        "choices": [[64, 64], [96, 96]],
    },
    {"key": "contrast.keys_per_class", "kind": "int_uniform", "low": 1, "high": 9, "step": None, "choices": ()},
]


def search(results: list[tuple[dict, dict]], objectives: list[dict]) -> SweepResults:
    """A sweep whose trial n drew `results[n][0]` and measured `results[n][1]`."""
    rows = tuple(Row(label=f"trial {number}", factors=drawn) for number, (drawn, _) in enumerate(results))
    sweep = SweepRecord(
        name="s",
        question="",
        method="tpe",
        recipe="r",
        metric=objectives[0]["name"],
        goal=objectives[0]["goal"],
        baseline=None,
        rows=rows,
        seeds=(0,),
        cells=tuple(PlannedRun(row=row.label, seed=0, trial_id=row.label) for row in rows),
        search={"objectives": objectives, "parameters": PARAMETERS},
    )
    outcomes = {
        f"trial {number}": AttemptRecord(
            trial_id=f"trial {number}", attempt=1, state=State.DONE, started_at=0, ended_at=1, metrics=metrics
        )
        for number, (_, metrics) in enumerate(results)
    }
    return SweepResults(sweep=sweep, outcomes=outcomes)


MIOU = {"name": "final/miou", "goal": "maximize"}
COST = {"name": "cost/gpu_hours", "goal": "minimize"}
BOTH = {"final/miou": 0.7, "cost/gpu_hours": 1.0}


def test_stopped_and_unmeasured_trials_have_no_objective() -> None:
    results = search([({}, {"final/miou": 0.9}), ({}, {"final/miou": 0.5}), ({}, {}), ({}, BOTH)], [MIOU, COST])
    outcomes = dict(results.outcomes)
    outcomes["trial 1"] = replace(outcomes["trial 1"], state=State.STOPPED, metrics=BOTH)
    assert objective_values(replace(results, outcomes=outcomes)) == {"trial 3": 0.7}


def test_objectives_to_be_minimised_are_negated() -> None:
    assert objective_values(search([({}, {"cost/gpu_hours": 2.0})], [COST])) == {"trial 0": -2.0}


def test_the_parameter_that_decides_is_the_important_one() -> None:
    draw = random.Random(5)
    results = []
    for _ in range(40):
        drawn = {"optim.lr": 10 ** draw.uniform(-4, 0), "data.crop": draw.choice([[64, 64], [96, 96]])}
        drawn["contrast.keys_per_class"] = draw.randint(1, 9)
        results.append((drawn, {"final/miou": drawn["contrast.keys_per_class"] + 0.01 * draw.random()}))
    found = importance(search(results, [MIOU]))
    assert next(iter(found)) == "contrast.keys_per_class"
    assert found["contrast.keys_per_class"] > 0.9
    assert sum(found.values()) == pytest.approx(1)
    assert found == importance(search(results, [MIOU])), "no chance in it"


def test_no_importance_without_enough_different_trials() -> None:
    drawn = {"optim.lr": 0.1, "data.crop": [64, 64], "contrast.keys_per_class": 3}
    assert importance(search([(drawn, {"final/miou": 0.1})] * 3, [MIOU])) == {}
    assert importance(search([(drawn, {"final/miou": 0.1})] * 9, [MIOU])) == {}, "all alike"
