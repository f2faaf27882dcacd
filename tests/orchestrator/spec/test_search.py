"""Searches: distributions, conditions, objectives."""

from pathlib import Path

import pytest

from orchestrator.errors import SpecError
from orchestrator.planning.plan import plan_sweep
from orchestrator.spec.distributions import Distribution, Objective

SEARCH = """\
method: tpe
recipe: small
trials: 40
parameters:
  contrast.memory.pixels_per_class: {min: 10, max: 1000, distribution: int_log_uniform}
  contrast.temperature: {min: 0.02, max: 1, distribution: log_uniform}
  contrast.memory.kind: {values: [none, pixel]}
  contrast.weight: {min: 0.1, max: 0.5, step: 0.1}
  contrast.keys_per_class: {min: 10, max: 30, step: 10}
  data.crop: {values: [[64, 64], [96, 64]]}
  optim.lr: {value: 0.2}
when: {contrast.memory.pixels_per_class: {contrast.memory.kind: [pixel]}}
"""
VALUES = {
    "contrast.temperature": 0.07,
    "contrast.memory.kind": "pixel",
    "contrast.memory.pixels_per_class": 20,
    "contrast.weight": 0.2,
    "contrast.keys_per_class": 20,
    "data.crop": [96, 64],
}


def test_distributions_are_typed_and_ordered_for_drawing(read_space):
    spec = read_space(SEARCH)
    found = {item.key: item for item in spec.search.parameters}

    assert (spec.search.sampler, spec.search.trials, spec.search.seed, spec.seeds) == ("tpe", 40, 0, (0,))
    assert list(found)[-1] == "contrast.memory.pixels_per_class"  # after the one that its condition asks about
    assert found["contrast.memory.pixels_per_class"] == Distribution(
        key="contrast.memory.pixels_per_class",
        kind="int_log_uniform",
        low=10,
        high=1000,
        when={"contrast.memory.kind": ("pixel",)},
    )
    assert found["contrast.temperature"] == Distribution(
        key="contrast.temperature", kind="log_uniform", low=0.02, high=1.0
    )
    assert type(found["contrast.temperature"].high) is float
    assert found["contrast.weight"].kind == "uniform"
    assert found["contrast.weight"].step == 0.1
    assert found["contrast.keys_per_class"].kind == "int_uniform"
    assert found["data.crop"].choices == ((64, 64), (96, 64))
    assert found["data.crop"].origin == "s.yaml:10"
    assert spec.base["optim.lr"].value == 0.2


def test_a_sampler_draws_while_it_iterates(read_space):
    search = read_space(SEARCH).search

    def keys(kind):
        drawn = {}
        for item in search.active(drawn):
            drawn[item.key] = kind if item.key == "contrast.memory.kind" else item.bounds()[0]
        return set(drawn)

    assert keys("pixel") == set(VALUES)
    assert keys("none") == set(VALUES) - {"contrast.memory.pixels_per_class"}


def test_several_objectives_of_which_the_first_ranks(read_space):
    spec = read_space(f"{SEARCH}metric: [{{name: val/miou}}, {{name: cost/train_minutes, goal: ~, mode: min}}]\n")

    assert spec.space.metric == (Objective(name="val/miou"), Objective(name="cost/train_minutes", goal="minimize"))
    assert (spec.space.metric[0].name, spec.space.metric[0].goal) == ("val/miou", "maximize")


def test_one_seed_of_ones_own(read_space):
    assert read_space(f"{SEARCH}seeds: [7]\nsearch_seed: 3\n").seeds == (7,)
    assert read_space(SEARCH, seeds=1).seeds == (0,)
    with pytest.raises(SpecError, match=r"^--seeds 2: seeds: a search trains each trial with one seed, not 2; "):
        read_space(SEARCH, seeds=2)


def test_the_plan_of_a_search_has_its_baseline_only(read_space):
    plan = plan_sweep(read_space(f"{SEARCH}baseline: {{contrast.source: none}}\n"), run_dir=Path("runs"))

    assert [row.label for row in plan.record.rows] == ["baseline"]
    assert plan.record.baseline == "baseline"
    assert len(plan.trials) == 1
    assert "varied crop" in plan.record.protocol
    assert "seed 0" in plan.record.protocol
    assert plan_sweep(read_space(SEARCH), run_dir=Path("runs")).trials == ()


def test_fixed_may_set_what_the_baseline_sets_too(read_space):
    spec = read_space(f"{SEARCH}fixed: {{optim.momentum: 0.8}}\nbaseline: {{optim.momentum: 0.7}}\n")

    assert spec.base["optim.momentum"].value == 0.8


def test_an_end_that_is_legal_only_together_with_another_one_is_legal(read_space):
    spec = read_space(
        "method: random\nrecipe: small\ntrials: 3\nparameters:\n"
        "  schedule.batch_size: {min: 6, max: 12, step: 6}\n  schedule.accumulation_steps: {values: [1, 3]}\n"
    )

    assert plan_sweep(spec, run_dir=Path("runs")).trials == ()  # 8 images do not split into 3
