"""A search, its scheduler and a best checkpoint do not choose on the split that is reported."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator.errors import SpecError
from orchestrator.planning.adaptive.search import TrialBuilder
from orchestrator.planning.plan import SweepPlan, plan_sweep
from orchestrator.spec.sweep_spec import SweepSpec
from orchestrator.sweep import main
from trainer.testing.look_alikes import LOOK_ALIKES

SEARCH = "method: tpe\nrecipe: small\ntrials: 3\nparameters: {optim.lr: {min: 0.1, max: 1}}\n"
ABLATION = "method: ablation\nrecipe: small\nrows: {a: {}, b: {optim.lr: 0.1}}\n"
ON_TEST = "fixed: {data.test_split: val}\n"
ALLOW = "table: {allow_selection_on_test: true}\n"
REMEDY = "table: {allow_selection_on_test: true}"


def plan(spec: SweepSpec) -> SweepPlan:
    return plan_sweep(spec, run_dir=Path("runs"))


MUST_NOT = "a search must not choose on the reported split"
REFUSED = {
    f"{SEARCH}metric: {{name: final/miou}}\n": f"s.yaml:5: metric: {MUST_NOT}, and final/miou is measured on it "
    "(data.test_split); write val/miou, or ",
    f"{SEARCH}metric: [{{name: val/miou}}, {{name: final/pixel_accuracy}}]\n": f"s.yaml:5: metric: {MUST_NOT}, and "
    "final/pixel_accuracy is measured on it",
    f"{SEARCH}{ON_TEST}": f"s.yaml:1: metric: {MUST_NOT}: val/miou is measured on 'val' (data.val_split), and "
    "data.test_split is 'val'; set data.val_split to another split",
    f"{SEARCH}fixed: {{data.val_split: test}}\n": "val/miou is measured on 'test'",
    f"{SEARCH}{ON_TEST}metric: {{name: val/best_miou}}\n": f"s.yaml:6: metric: {MUST_NOT}: val/best_miou is measured",
    f"{ABLATION}{ON_TEST}table: {{columns: [final/miou, val/best_miou]}}\n": "s.yaml:5: table.columns: val/best_miou "
    "is chosen on the reported split: it is measured on 'val' (data.val_split), and data.test_split is 'val'; ",
    f"{ABLATION}{ON_TEST}metric: {{name: val/best_miou}}\n": "s.yaml:5: metric: val/best_miou is chosen on the",
}


@pytest.mark.parametrize("text", REFUSED)
def test_choosing_on_the_reported_split_is_refused_with_its_line(
    text: str, read_space: Callable[..., SweepSpec], capsys: pytest.CaptureFixture[str]
) -> None:
    message = REFUSED[text]
    with pytest.raises(SpecError) as caught:
        plan(read_space(text))
    assert message in str(caught.value)
    assert REMEDY in str(caught.value)
    assert main(["s.yaml", "--dry-run"]) == 2
    assert message in capsys.readouterr().err


def test_so_is_a_scheduler(read_space: Callable[..., SweepSpec]) -> None:
    """One that stops by `val/...` where that is reported, although the search chooses by something else."""
    with pytest.raises(SpecError) as caught:
        plan(read_space(f"{SEARCH}{ON_TEST}scheduler: {{kind: asha}}\n"))
    assert [line.partition(":")[2].partition(": a search")[0] for line in str(caught.value).splitlines()] == [
        "1: metric",
        "6: scheduler",
    ]


@pytest.mark.parametrize("split", ["trainval", "train"])
def test_union_splits_overlap_with_their_parts(
    split: str, read_space: Callable[..., SweepSpec], tmp_path: Path
) -> None:
    LOOK_ALIKES["folder"](tmp_path / "data")
    data = f"data.name: folder, data.root: {tmp_path / 'data'}, data.absent_classes: allow, data.train_split: night"
    spec = read_space(f"{SEARCH}fixed: {{{data}, data.val_split: trainval, data.test_split: {split}}}\n")
    with pytest.raises(SpecError, match="must not choose on the reported split: val/miou is measured on 'trainval'"):
        plan(spec)


def test_a_search_does_not_choose_on_images_that_it_trains_on(
    read_space: Callable[..., SweepSpec], tmp_path: Path
) -> None:
    LOOK_ALIKES["folder"](tmp_path / "data")
    data = f"data.name: folder, data.root: {tmp_path / 'data'}, data.absent_classes: allow, data.test_split: val"
    with pytest.raises(
        SpecError, match=r"^s\.yaml:1: metric: a search must not choose on images that it trains on, and "
    ):
        plan(read_space(f"{SEARCH}fixed: {{{data}, data.val_split: search}}\n"))
    rest = "data.val_split: search, data.train_split: train_without_search"
    assert plan(read_space(f"{SEARCH}fixed: {{{data}, {rest}}}\n")).record.val_overlaps_test is False


@pytest.mark.parametrize(
    "text",
    [
        f"{SEARCH}metric: {{name: final/miou}}\n{ALLOW}",
        f"{SEARCH}{ON_TEST}scheduler: {{kind: asha}}\n{ALLOW}",
        f"{ABLATION}{ON_TEST}table: {{columns: [final/miou, val/best_miou], allow_selection_on_test: true}}\n",
    ],
)
def test_the_user_may_allow_it(text: str, read_space: Callable[..., SweepSpec]) -> None:
    assert plan(read_space(text)).record.table.allow_selection_on_test


@pytest.mark.parametrize(
    "text",
    [
        SEARCH,
        f"{SEARCH}scheduler: {{kind: asha}}\n",
        f"{SEARCH}{ON_TEST}metric: {{name: cost/train_minutes, goal: minimize}}\n",
        f"{ABLATION}{ON_TEST}",
        f"{ABLATION}table: {{columns: [final/miou, val/best_miou]}}\n",
    ],
)
def test_what_chooses_elsewhere_is_not_refused(text: str, read_space: Callable[..., SweepSpec]) -> None:
    spec = read_space(text)
    assert plan(spec).record.val_overlaps_test is ("data.test_split" in text)


def test_a_search_chooses_on_val_unless_it_says_otherwise(read_space: Callable[..., SweepSpec]) -> None:
    assert [objective.name for objective in read_space(SEARCH).space.metric] == ["val/miou"]
    assert [objective.name for objective in read_space(ABLATION).space.metric] == ["final/miou"]


def test_a_recipe_sets_the_splits_of_searches(read_space: Callable[..., SweepSpec], tmp_path: Path) -> None:
    LOOK_ALIKES["folder"](tmp_path / "data")
    recipe = tmp_path / "recipes/small.yaml"
    recipe.write_text(
        f"data: {{name: folder, root: {tmp_path / 'data'}, absent_classes: allow, crop: [64, 64], test_split: val}}\n"
        "search: {data: {train_split: train_without_search, val_split: search}}\n"
    )
    search, ablation = (plan(read_space(text)).record.settings for text in (SEARCH, ABLATION))
    assert (search["data.train_split"], search["data.val_split"]) == ("train_without_search", "search")
    assert not {"data.train_split", "data.val_split"} & ablation.keys()
    (tmp_path / "extended.yaml").write_text("extends: recipes/small.yaml\nsearch: {data.val_split: night}\n")
    assert plan(read_space(SEARCH, recipe="extended.yaml")).record.settings["data.val_split"] == "night"
    assert read_space(SEARCH, settings=["data.val_split=night"]).base["data.val_split"].value == "night"


@pytest.mark.parametrize(
    ("block", "message"),
    [
        ("search: 3", r"^recipes/small\.yaml:2: search: must be a block of `key: value` lines, not 3; "),
        (
            "search: {data.val_splt: a}",
            r"^recipes/small\.yaml:2: data\.val_splt: unknown key; did you mean 'val_split'",
        ),
    ],
)
@pytest.mark.parametrize("text", [SEARCH, ABLATION])
def test_a_wrong_block_of_a_recipe_is_named(
    block: str, message: str, text: str, read_space: Callable[..., SweepSpec], tmp_path: Path
) -> None:
    (tmp_path / "recipes/small.yaml").write_text(f"data: {{crop: [64, 64]}}\n{block}\n")
    with pytest.raises(SpecError, match=message):
        read_space(text)


def test_a_drawn_split_is_checked_as_well(read_space: Callable[..., SweepSpec], tmp_path: Path) -> None:
    LOOK_ALIKES["folder"](tmp_path / "data")
    data = f"data.name: folder, data.root: {tmp_path / 'data'}, data.absent_classes: allow, data.train_split: train"
    spec = read_space(
        "method: random\nrecipe: small\ntrials: 3\n"
        f"fixed: {{{data}}}\n"
        "parameters: {data.val_split: {values: [val, night]}, data.test_split: {values: [night, val]}}\n"
    )
    assert spec.search is not None
    with pytest.raises(SpecError, match="must not choose on the reported split"):
        TrialBuilder(spec, spec.search, run_dir=Path("runs")).build(
            0, {"data.val_split": "night", "data.test_split": "night"}
        )
