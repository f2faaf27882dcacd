"""Blocks shared between files: who wins, and where a message points."""

from pathlib import Path

import pytest

from orchestrator.errors import SpecError
from orchestrator.planning.plan import plan_sweep
from orchestrator.spec.extends import RECIPE, SEARCH_SPACE, read_extended
from orchestrator.spec.sweep_spec import read_sweep_name
from orchestrator.spec.yaml_document import parse_yaml

SHARED = """\
name: shared
recipe: small
method: ablation
seeds: [1, 2, 3]
fixed: {optim: {lr: 0.1, momentum: 0.5}}
rows:
  a: {contrast: {weight: 0.2}}
table: {caption: C, columns: [final/miou, final/pixel_accuracy]}
"""
OWN = """\
extends: ../shared.yaml
seeds: [7]
fixed: {optim.lr: 0.2}
rows:
  b: {}
  a: {contrast.temperature: 0.5}
table: {columns: [final/miou]}
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(**texts):
    for name, text in texts.items():
        Path(f"{name}.yaml").write_text(text)


def test_blocks_are_merged_own_keys_win_and_lists_are_replaced(read_space):
    Path("questions").mkdir()
    Path("shared.yaml").write_text(SHARED)
    Path("questions/mine.yaml").write_text(OWN)
    document = read_extended(Path("questions/mine.yaml"), SEARCH_SPACE)

    assert document.values == {
        "recipe": "small",
        "method": "ablation",
        "seeds": [7],
        "fixed": {"optim": {"momentum": 0.5}, "optim.lr": 0.2},
        "rows": {"a": {"contrast": {"weight": 0.2}, "contrast.temperature": 0.5}, "b": {}},
        "table": {"caption": "C", "columns": ["final/miou"]},
    }
    assert document.origin("recipe") == "shared.yaml:2"
    assert document.origin("seeds") == "questions/mine.yaml:2"
    assert document.origin("fixed", "optim", "momentum") == "shared.yaml:5"
    assert document.origin("fixed", "optim.lr") == "questions/mine.yaml:3"
    assert document.origin("table", "columns", 0) == "questions/mine.yaml:7"
    assert document.origin("table", "columns", 1) == document.origin("table", "columns")
    assert document.origin("seeds", 2) == document.origin("seeds")


def test_the_name_of_the_results_is_not_shared(folder):
    write(shared=SHARED, mine="extends: shared.yaml\n")

    assert read_sweep_name(Path("mine.yaml")).text == "mine"
    assert (
        read_sweep_name(Path("mine.yaml"), recipe="small").text == "mine"
    )  # the recipe is the shared file's, so it is its own


def test_what_was_read_is_kept_whole(folder):
    write(shared=SHARED, mine="extends: shared.yaml\nseeds: 2 # mine\n")
    text = read_extended(Path("mine.yaml"), SEARCH_SPACE).text

    assert text.startswith("extends: shared.yaml\nseeds: 2 # mine\n# extended:\n# name: shared\n")
    assert parse_yaml(text, "x").values == {"extends": "shared.yaml", "seeds": 2}


def test_later_files_win_over_earlier_ones_and_over_what_those_extend(folder):
    write(
        deep="seeds: 1\nquestion: deep\nrecipe: deep\n",
        one="extends: deep.yaml\nseeds: 2\nquestion: one\n",
        two="seeds: 3\n",
        mine="extends: [one.yaml, two.yaml]\n",
    )

    assert read_extended(Path("mine.yaml"), SEARCH_SPACE).values == {"seeds": 3, "question": "one", "recipe": "deep"}


def test_a_file_may_be_reached_twice(folder):
    write(
        deep="seeds: 1\n",
        one="extends: deep.yaml\n",
        two="extends: deep.yaml\n",
        mine="extends: [one.yaml, two.yaml]\n",
    )

    assert read_extended(Path("mine.yaml"), SEARCH_SPACE).values == {"seeds": 1}


def test_recipes_share_blocks_however_their_keys_are_spelled(folder):
    write(
        base="schedule: {steps: 10, batch_size: 4}\ncontrast.memory: {kind: pixel}\noptim.lr: 0.5\n",
        mine="extends: base.yaml\nschedule.steps: 20\ncontrast: {memory.kind: region}\noptim: {lr: 0.25}\n",
    )
    document = read_extended(Path("mine.yaml"), RECIPE)

    assert document.values == {
        "schedule": {"batch_size": 4},
        "schedule.steps": 20,
        "contrast": {"memory.kind": "region"},
        "optim": {"lr": 0.25},
    }


def test_labels_with_dots_are_no_settings(folder):
    write(
        base="rows:\n  v1.5: {optim.lr: 1}\nparameters: {optim.lr: {values: [1]}}\n",
        mine="extends: base.yaml\nrows:\n  v1: {'5.optim.lr': 2}\nparameters: {optim.lr: {values: [2, 3]}}\n",
    )
    values = read_extended(Path("mine.yaml"), SEARCH_SPACE).values

    assert values["rows"] == {"v1.5": {"optim.lr": 1}, "v1": {"5.optim.lr": 2}}
    assert values["parameters"] == {"optim.lr": {"values": [2, 3]}}


def test_a_mistake_is_reported_where_it_is_written(read_space):
    Path("base.yaml").write_text("# shared\nfixed: {optim.lr: warm}\ntabel: {}\n")
    Path("recipes/small.yaml").write_text("extends: lower.yaml\n")
    Path("recipes/lower.yaml").write_text("\nschedule: {steps: soon}\n")

    with pytest.raises(SpecError) as caught:
        read_space("extends: base.yaml\nmethod: ablation\nrecipe: small\nrows: {a: {}}\n")

    assert caught.value.messages == (
        "base.yaml:3: tabel: unknown key; did you mean 'table'?",
        "base.yaml:2: optim.lr: must be a number, not 'warm'; write for example 0.01",
        "recipes/lower.yaml:2: schedule.steps: must be a whole number, not 'soon'; write for example 300",
    )


def test_an_extended_search_space_is_planned(read_space):
    Path("shared.yaml").write_text(SHARED)
    plan = plan_sweep(read_space(OWN.replace("../", "")), run_dir=Path("runs"))

    assert [(row.label, dict(row.factors)) for row in plan.record.rows] == [
        ("a", {"contrast.weight": 0.2, "contrast.temperature": 0.5}),
        ("b", {}),
    ]
    assert plan.record.name == "s"
    assert {(trial.config.optim.lr, trial.config.optim.momentum) for trial in plan.trials} == {(0.2, 0.5)}
