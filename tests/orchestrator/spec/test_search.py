"""Searches: distributions, conditions, objectives, and the trials made of drawn values."""

from pathlib import Path

import pytest

from orchestrator.errors import SpecError
from orchestrator.planning.plan import draw_trial, plan_sweep
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
    spec = read_space(f"{SEARCH}metric: [{{name: final/miou}}, {{name: cost/train_minutes, mode: min}}]\n")

    assert spec.objectives == (Objective(), Objective(name="cost/train_minutes", goal="minimize"))
    assert (spec.metric, spec.goal) == ("final/miou", "maximize")


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


def test_a_drawn_trial_is_a_row_and_a_trial_with_the_name_a_grid_would_give_it(read_space):
    row, trial = draw_trial(read_space(SEARCH), 7, VALUES, run_dir=Path("runs"))
    settings = ", ".join(f"{key}: {value}" for key, value in row.factors.items())
    listed = plan_sweep(
        read_space(f"method: ablation\nrecipe: small\nfixed: {{optim.lr: 0.2}}\nrows: {{a: {{{settings}}}}}\n"),
        run_dir=Path("runs"),
    )

    assert row.label == "trial 7"
    assert row.factors == VALUES
    assert trial.config.data.crop == (96, 64)
    assert trial == listed.trials[0]


def test_a_value_that_does_not_count_is_passed_over(read_space):
    row, trial = draw_trial(read_space(SEARCH), 0, VALUES | {"contrast.memory.kind": "none"}, run_dir=Path("runs"))

    assert "contrast.memory.pixels_per_class" not in row.factors
    assert trial.config.contrast.memory.kind == "none"


def test_a_combination_that_the_trainer_refuses_is_told_at_its_line(read_space):
    spec = read_space(
        "method: random\nrecipe: small\ntrials: 3\nparameters:\n  model.backbone: {values: [resnet18, hrnet_w18]}\n"
        "  data.crop: {values: [[64, 64], [80, 80]]}\n"
    )
    plan_sweep(spec, run_dir=Path("runs"))  # each value alone is legal

    with pytest.raises(SpecError) as caught:
        draw_trial(spec, 1, {"model.backbone": "hrnet_w18", "data.crop": [80, 80]}, run_dir=Path("runs"))
    assert str(caught.value) == "s.yaml:6: data.crop: an HRNet needs sides that are multiples of 32, not [80, 80]"
    with pytest.raises(SpecError, match=r"^s\.yaml:5: model\.backbone: unknown backbone 'nope'"):
        draw_trial(spec, 1, {"model.backbone": "nope", "data.crop": [64, 64]}, run_dir=Path("runs"))


def test_an_end_that_is_legal_only_together_with_another_one_is_legal(read_space):
    spec = read_space(
        "method: random\nrecipe: small\ntrials: 3\nparameters:\n"
        "  schedule.batch_size: {min: 6, max: 12, step: 6}\n  schedule.accumulation_steps: {values: [1, 3]}\n"
    )

    assert plan_sweep(spec, run_dir=Path("runs")).trials == ()  # 8 images do not split into 3


def test_a_data_set_is_opened_once_for_many_trials(read_space, monkeypatch):
    import orchestrator.planning.datasets

    spec, opened = read_space(SEARCH), []
    plan_sweep(spec, run_dir=Path("runs"))
    real = orchestrator.planning.datasets.open_source
    monkeypatch.setattr(
        "orchestrator.planning.datasets.open_source", lambda config: opened.append(config) or real(config)
    )

    for number in range(50):
        draw_trial(spec, number, VALUES | {"contrast.temperature": 0.02 + number / 100}, run_dir=Path("runs"))

    assert len(opened) == 1


def test_other_methods_draw_nothing(read_space):
    with pytest.raises(ValueError, match="method ablation draws no trials"):
        draw_trial(read_space("method: ablation\nrecipe: small\nrows: {a: {}}\n"), 0, {}, run_dir=Path("runs"))


def test_missing_data_of_a_search_is_told_by_the_plan_and_by_each_trial(read_space):
    spec = read_space(
        "method: random\nrecipe: small\ntrials: 3\nfixed:\n  data.name: camvid\n  data.root: nowhere\n"
        "parameters: {optim.lr: {min: 0.1, max: 1}}\n"
    )

    for ask in (
        lambda: plan_sweep(spec, run_dir=Path("runs")),
        lambda: draw_trial(spec, 0, {"optim.lr": 0.5}, run_dir=Path("runs")),
    ):
        with pytest.raises(SpecError, match=r"^s\.yaml:6: data\.root: .*nowhere: no such folder; "):
            ask()
