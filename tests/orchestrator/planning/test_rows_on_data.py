"""Rows x data sets in a plan: the trials are those of a sweep over each data set alone."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator.commands.dry_run import plan_as_json, plan_as_text
from orchestrator.errors import SpecError
from orchestrator.machine.text_table import plain
from orchestrator.planning.naming import plan_in
from orchestrator.planning.plan import SweepPlan, plan_sweep
from orchestrator.spec.sweep_spec import SweepSpec, read_sweep_name
from orchestrator.store.run_directory import RunDirectory
from orchestrator.store.sweep_record import SweepRecord
from tests.orchestrator.planning.test_naming import make_folder

ReadSpace = Callable[..., SweepSpec]

ROWS = "rows: {plain: {contrast.source: none}, full: {}}\nbaseline: plain\nseeds: 2\n"
SPACE = f"method: ablation\nrecipe: small\n{ROWS}"
PLUGIN = """
from trainer.plugins import Entry


def first(context):
    raise NotImplementedError


ANCHOR_SAMPLERS = {"first": Entry(code=first)}
"""
SCENES = "{name: more scenes, data.synthetic.seed: 1}"


@pytest.fixture
def planned(read_space: ReadSpace, tmp_path: Path) -> Callable[..., SweepPlan]:
    """The plan of a text with options; a folder `mine` and a recipe `large` are there."""
    make_folder(tmp_path / "mine", 10)
    Path("recipes/large.yaml").write_text("data: {crop: [32, 96]}\nschedule.steps: 20\noptim.lr: 0.5\n")

    def plan(text: str, **options: object) -> SweepPlan:
        return plan_sweep(read_space(text, **options), run_dir=Path("runs"))

    return plan


def ids_of(plan: SweepPlan, data: str = "") -> dict[tuple[str, int], str]:
    return {(run.row, run.seed): run.trial_id for run in plan.record.cells if run.data == data}


def test_the_trials_are_those_of_each_data_set_alone(planned: Callable[..., SweepPlan]) -> None:
    both = planned(f"{SPACE}data: [synthetic, ./mine, {{recipe: large}}, {SCENES}]\n")
    assert ids_of(both, "synthetic") == ids_of(planned(SPACE))
    assert ids_of(both, "mine") == ids_of(planned(SPACE, settings=["data.name=folder", "data.root=mine"]))
    assert ids_of(both, "large") == ids_of(planned(SPACE, recipe="large"))
    assert ids_of(both, "more scenes") == ids_of(planned(SPACE, settings=["data.synthetic.seed=1"]))
    assert len(both.trials) == len(both.record.cells) == 16


def test_the_plan_of_one_data_set_is_as_if_it_were_the_only_one(planned: Callable[..., SweepPlan]) -> None:
    record = planned(f"{SPACE}data: [synthetic, ./mine]\n").record
    assert SweepRecord.from_json(json.loads(json.dumps(record.to_json()))) == record
    assert [item.name for item in record.data_sets] == ["Synthetic scenes", "mine"]
    alone = planned(SPACE, settings=["data.name=folder", "data.root=./mine"]).record
    mine = record.on(record.data_sets[1])
    assert (mine.cells, mine.rows, mine.protocols) == (alone.cells, alone.rows, alone.protocols)
    assert (mine.settings, mine.val_overlaps_test) == (alone.settings, alone.val_overlaps_test)
    assert [item.digest for item in mine.data] == [item.digest for item in alone.data]
    assert mine.protocol.startswith("mine, test split (2 images, trained on 2), ")
    assert mine.protocol.partition("), ")[2] in alone.protocol
    assert record.protocol.startswith(
        "Synthetic scenes, test split (48 images, trained on 96) and mine, test split (2 images, trained on 2), "
    )


def test_a_sweep_with_one_data_set_has_no_name_for_it(planned: Callable[..., SweepPlan]) -> None:
    plain, one = planned(SPACE).record, planned(f"{SPACE}data: [synthetic]\n").record
    assert plain.data_sets == ()
    assert [item.title for item in plain.data] == ["Synthetic scenes"]
    assert one.cells == plain.cells
    assert [item.name for item in one.data_sets] == ["Synthetic scenes"]


def test_titles_are_used_only_if_they_tell_the_data_sets_apart(planned: Callable[..., SweepPlan]) -> None:
    record = planned(f"{SPACE}data: [synthetic, {{recipe: large}}]\n").record
    assert [item.name for item in record.data_sets] == ["synthetic", "large"]
    assert [item.recipe for item in record.data_sets] == ["small", "large"]
    assert record.recipe == "small, large"
    assert "schedule.steps" not in record.settings
    assert record.data_sets[1].settings["schedule.steps"] == 20


def test_every_data_set_may_bring_the_recipe(planned: Callable[..., SweepPlan]) -> None:
    record = planned(f"method: ablation\n{ROWS}data: [{{recipe: small}}, large]\n").record
    assert [item.recipe for item in record.data_sets] == ["small", "large"]


def test_plugins_of_the_recipe_of_a_data_set_are_known_on_it(planned: Callable[..., SweepPlan]) -> None:
    Path("mine.py").write_text(PLUGIN, encoding="utf-8")
    Path("recipes/plugged.yaml").write_text(
        "plugins: [../mine.py]\ndata: {crop: [32, 64]}\nschedule.steps: 10\ncontrast.anchors.kind: first\n"
    )
    for entry in ("plugged", "{recipe: plugged}"):
        record = planned(f"{SPACE}data: [synthetic, {entry}]\n").record
        assert record.data_sets[1].settings["contrast.anchors.kind"] == "first"
        notes = [note for note in record.notes if "(mine.py, " in note]
        assert len(notes) == 1
        assert all(notes[0] in item.notes for item in record.data_sets)
    assert planned(SPACE, data=["synthetic,plugged"]).record.recipe == "small, plugged"


def test_trials_run_seed_by_seed_on_one_data_set_after_the_other(planned: Callable[..., SweepPlan]) -> None:
    plan = planned(f"{SPACE}data: [synthetic, {SCENES}]\n")
    labels = [plan.record.label_of(trial.trial_id) for trial in plan.trials[:5]]
    assert labels == [
        "plain on Synthetic scenes, seed 0",
        "full on Synthetic scenes, seed 0",
        "plain on more scenes, seed 0",
        "full on more scenes, seed 0",
        "plain on Synthetic scenes, seed 1",
    ]


def test_data_of_the_command_line_replaces_that_of_the_file_and_names_the_sweep(
    planned: Callable[..., SweepPlan], read_space: ReadSpace
) -> None:
    text = f"{SPACE}data: [synthetic, {SCENES}]\n"
    plan = planned(text, data=["synthetic,folder=mine"])
    assert plan.record.name == "s+data=synthetic,folder"
    assert ids_of(plan, "folder") == ids_of(planned(f"{SPACE}data: [synthetic, mine]\n"), "mine")
    read_space(text)
    assert read_sweep_name(Path("s.yaml"), data=["synthetic", "./mine"]).text == "s+data=synthetic,mine"
    assert read_sweep_name(Path("s.yaml"), data=["synthetic", "more scenes"]).text == "s"
    changed = plan_in(RunDirectory("runs"), read_space(text, settings=["schedule.steps=10", "optim.lr=0.5"]))
    assert changed.record.name == "s+lr=0.5"


def test_a_file_that_compares_across_data_sets_can_be_run_on_one(planned: Callable[..., SweepPlan]) -> None:
    text = f"{SPACE}data: [synthetic, {SCENES}]\ntable: {{across_data: seeds}}\n"
    assert ids_of(planned(text, data=["synthetic"])) == ids_of(planned(SPACE))


def test_a_setting_counts_as_a_change_if_it_changes_one_data_set(
    planned: Callable[..., SweepPlan],
) -> None:
    text = f"{SPACE}data: [synthetic, {{recipe: large}}]\n"
    assert planned(text, settings=["schedule.steps=20"]).record.name == "s+steps=20"
    assert planned(text, settings=["schedule.steps=10"]).record.name == "s+steps=10"


def test_missing_data_is_reported_where_the_data_set_is_named(planned: Callable[..., SweepPlan]) -> None:
    with pytest.raises(SpecError, match=r"^s.yaml:7: data.root: .*needs a folder|^s.yaml:7: data.root: "):
        planned(f"{SPACE}data:\n  - camvid\n  - synthetic\n")


def test_a_dry_run_shows_each_row_on_each_data_set(planned: Callable[..., SweepPlan], read_space: ReadSpace) -> None:
    text = f"{SPACE}data: [synthetic, ./mine]\n"
    plan, directory = planned(text), RunDirectory("runs")
    lines = plain(plan_as_text(read_space(text), plan, directory))
    assert lines[0] == "s: 2 rows x 2 data sets x 2 seeds = 8 runs"
    assert "full on mine               –     seeds 0, 1" in lines
    assert any(line.startswith("data: mine: train 2 images") for line in lines)
    assert any(line.startswith("mine: keys per anchor") for line in lines)
    entries = json.loads(plan_as_json(plan, directory))["trials"]
    assert {(entry["row"], entry["data"]) for entry in entries} == {
        (row, data) for row in ("plain", "full") for data in ("Synthetic scenes", "mine")
    }
