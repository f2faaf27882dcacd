"""Importance and the Pareto front, against cases whose answer is known."""

import itertools
import random
from dataclasses import replace

import pytest

from orchestrator.store.records import AttemptRecord, PlannedRun, Row, State, SweepRecord
from reports.tables.importance import importance, objective_values, pareto_front

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


def search(results: list[tuple[dict, dict]], objectives: list[dict]) -> tuple[SweepRecord, dict[str, AttemptRecord]]:
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
    return sweep, outcomes


MIOU = {"name": "final/miou", "goal": "maximize"}
COST = {"name": "cost/gpu_hours", "goal": "minimize"}


def test_the_front_is_what_brute_force_finds() -> None:
    draw = random.Random(3)
    results = [({}, {"final/miou": draw.choice(range(8)), "cost/gpu_hours": draw.choice(range(8))}) for _ in range(60)]
    sweep, outcomes = search(results, [MIOU, COST])
    points = {f"trial {number}": metrics for number, (_, metrics) in enumerate(results)}
    beaten = set()
    for (mine, a), (_, b) in itertools.permutations(points.items(), 2):
        no_worse = b["final/miou"] >= a["final/miou"] and b["cost/gpu_hours"] <= a["cost/gpu_hours"]
        if no_worse and a != b:
            beaten.add(mine)
    assert set(pareto_front(sweep, outcomes)) == set(points) - beaten
    assert beaten


def test_stopped_and_unmeasured_trials_are_on_no_front() -> None:
    sweep, outcomes = search([({}, {"final/miou": 0.9}), ({}, {"final/miou": 0.5}), ({}, {})], [MIOU])
    outcomes["trial 0"] = replace(outcomes["trial 0"], state=State.STOPPED)
    assert objective_values(sweep, outcomes) == {"trial 1": (0.5,)}
    assert pareto_front(sweep, outcomes) == ("trial 1",)


def test_the_parameter_that_decides_is_the_important_one() -> None:
    draw = random.Random(5)
    results = []
    for _ in range(40):
        drawn = {"optim.lr": 10 ** draw.uniform(-4, 0), "data.crop": draw.choice([[64, 64], [96, 96]])}
        drawn["contrast.keys_per_class"] = draw.randint(1, 9)
        results.append((drawn, {"final/miou": drawn["contrast.keys_per_class"] + 0.01 * draw.random()}))
    found = importance(*search(results, [MIOU]))
    assert next(iter(found)) == "contrast.keys_per_class"
    assert found["contrast.keys_per_class"] > 0.9
    assert sum(found.values()) == pytest.approx(1)
    assert found == importance(*search(results, [MIOU])), "no chance in it"


def test_too_little_to_tell_is_no_importance() -> None:
    drawn = {"optim.lr": 0.1, "data.crop": [64, 64], "contrast.keys_per_class": 3}
    assert importance(*search([(drawn, {"final/miou": 0.1})] * 3, [MIOU])) == {}
    assert importance(*search([(drawn, {"final/miou": 0.1})] * 9, [MIOU])) == {}, "all alike"
