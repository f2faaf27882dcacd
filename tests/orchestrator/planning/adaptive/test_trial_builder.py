"""The trials that suggested values stand for: named as in a grid, and checked as in a plan."""

from pathlib import Path

import pytest

import trainer.workload.datasets
from orchestrator.errors import SpecError
from orchestrator.planning.adaptive.search import TrialBuilder
from orchestrator.planning.plan import plan_sweep

SEARCH = """\
method: tpe
recipe: small
trials: 40
parameters:
  contrast.memory.pixels_per_class: {min: 10, max: 1000, distribution: int_log_uniform}
  contrast.temperature: {min: 0.02, max: 1, distribution: log_uniform}
  contrast.memory.kind: {values: [none, pixel]}
  data.crop: {values: [[64, 64], [96, 64]]}
  optim.lr: {value: 0.2}
when: {contrast.memory.pixels_per_class: {contrast.memory.kind: [pixel]}}
"""
VALUES = {
    "contrast.temperature": 0.07,
    "contrast.memory.kind": "pixel",
    "contrast.memory.pixels_per_class": 20,
    "data.crop": [96, 64],
}


def builder(spec):
    return TrialBuilder(spec, spec.search, run_dir=Path("runs"))


def test_a_suggested_trial_has_the_id_that_a_row_with_its_values_would_have(read_space):
    row, trial = builder(read_space(SEARCH)).build(7, VALUES)
    settings = ", ".join(f"{key}: {value}" for key, value in row.factors.items())
    listed = plan_sweep(
        read_space(f"method: ablation\nrecipe: small\nfixed: {{optim.lr: 0.2}}\nrows: {{a: {{{settings}}}}}\n"),
        run_dir=Path("runs"),
    )

    assert row.label == "trial 7"
    assert row.factors == VALUES
    assert trial.config.data.crop == (96, 64)
    assert trial == listed.trials[0]


def test_an_inactive_parameter_is_ignored(read_space):
    row, trial = builder(read_space(SEARCH)).build(0, VALUES | {"contrast.memory.kind": "none"})

    assert "contrast.memory.pixels_per_class" not in row.factors
    assert trial.config.contrast.memory.kind == "none"


def test_a_combination_that_the_trainer_refuses_is_reported_at_its_line(read_space):
    spec = read_space(
        "method: random\nrecipe: small\ntrials: 3\nparameters:\n  model.backbone: {values: [resnet18, hrnet_w18]}\n"
        "  data.crop: {values: [[64, 64], [80, 80]]}\n"
    )
    plan_sweep(spec, run_dir=Path("runs"))  # each value alone is legal

    with pytest.raises(SpecError) as caught:
        builder(spec).build(1, {"model.backbone": "hrnet_w18", "data.crop": [80, 80]})
    assert str(caught.value) == "s.yaml:6: data.crop: an HRNet needs sides that are multiples of 32, not [80, 80]"
    with pytest.raises(SpecError, match=r"^s\.yaml:5: model\.backbone: unknown backbone 'nope'"):
        builder(spec).build(1, {"model.backbone": "nope", "data.crop": [64, 64]})


def test_a_data_set_is_opened_once_for_many_trials(read_space, monkeypatch):
    spec, opened = read_space(SEARCH), []
    plan_sweep(spec, run_dir=Path("runs"))
    real = trainer.workload.datasets.open_source
    monkeypatch.setattr("trainer.workload.datasets.open_source", lambda config: opened.append(config) or real(config))

    trials = builder(spec)
    for number in range(50):
        trials.build(number, VALUES | {"contrast.temperature": 0.02 + number / 100})

    assert len(opened) == 1


def test_missing_data_is_reported_by_the_plan_and_by_each_trial(read_space):
    spec = read_space(
        "method: random\nrecipe: small\ntrials: 3\nfixed:\n  data.name: camvid\n  data.root: nowhere\n"
        "parameters: {optim.lr: {min: 0.1, max: 1}}\n"
    )

    for ask in (
        lambda: plan_sweep(spec, run_dir=Path("runs")),
        lambda: builder(spec).build(0, {"optim.lr": 0.5}),
    ):
        with pytest.raises(SpecError, match=r"^s\.yaml:6: data\.root: .*nowhere: no such folder; "):
            ask()
