"""Data and weights given by `--set` enter a sweep's name, and its caption, by their content and not by their place."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from orchestrator.__main__ import main as orchestrator
from orchestrator.planning.naming import plan_in
from orchestrator.planning.plan import SweepPlan
from orchestrator.spec.sweep_spec import SweepSpec
from orchestrator.store.record_store import RecordStore

ReadSpace = Callable[..., SweepSpec]
SPACE = """
method: ablation
recipe: small
fixed: {data.name: folder}
rows: {a: {}, b: {contrast.source: none}}
"""


def make_folder(root: Path, shade: int) -> None:
    """A data set of two images and labels per split; `shade` is its only difference to others."""
    for split in ("train", "val", "test"):
        for kind, pixels in (("images", np.full((64, 64, 3), shade, np.uint8)), ("labels", np.eye(64, dtype=np.uint8))):
            (root / kind / split).mkdir(parents=True)
            for stem in ("one", "two"):
                Image.fromarray(pixels).save(root / kind / split / f"{stem}.png")
    (root / "classes.yaml").write_text("names: [road, tree]\n")


@pytest.fixture
def planned(read_space: ReadSpace, tmp_path: Path) -> Callable[..., SweepPlan]:
    """`planned("data.root=cats")`: a command with these settings has planned its sweep; cats and dogs differ."""
    make_folder(tmp_path / "cats", 10)
    make_folder(tmp_path / "dogs", 200)
    shutil.copytree(tmp_path / "cats", tmp_path / "moved")

    def plan(*settings: str, text: str = SPACE, **options: object) -> SweepPlan:
        found = plan_in(RecordStore("runs"), read_space(text, settings=settings, **options))
        RecordStore("runs").write_sweep(found.record)
        return found

    return plan


def test_two_data_sets_get_two_names_and_two_captions(planned: Callable[..., SweepPlan]) -> None:
    cats, dogs = planned("data.root=cats"), planned("data.root=dogs")
    assert cats.record.name == "s"
    assert dogs.record.name == f"s+data=folder-{dogs.record.data[0].digest[:6]}"
    assert cats.record.protocol != dogs.record.protocol
    assert f"own data {cats.record.data[0].digest[:6]}, test split" in cats.record.protocol
    assert dogs.record.protocol.endswith(f", data=folder-{dogs.record.data[0].digest[:6]}")
    assert planned("data.root=cats").record == cats.record
    assert planned("data.root=dogs").record == dogs.record


def test_data_that_has_moved_keeps_its_name(planned: Callable[..., SweepPlan]) -> None:
    cats = planned("data.root=cats").record
    moved = planned("data.root=moved").record
    assert (moved.name, moved.protocol, moved.cells) == (cats.name, cats.protocol, cats.cells)


def test_the_folder_in_the_file_keeps_the_plain_name(planned: Callable[..., SweepPlan]) -> None:
    texts = [SPACE.replace("folder}", f"folder, data.root: {root}}}") for root in ("cats", "dogs")]
    cats, dogs = (planned(text=text).record for text in texts)
    assert (cats.name, dogs.name) == ("s", "s")
    assert cats.protocol != dogs.protocol
    assert planned("data.root=cats", text=texts[1]).record.name.startswith("s+data=folder-")


def test_changed_labels_are_other_data(planned: Callable[..., SweepPlan], tmp_path: Path) -> None:
    before = planned("data.root=cats").record
    Image.fromarray(np.zeros((64, 64), np.uint8)).save(tmp_path / "cats" / "labels" / "train" / "one.png")
    after = planned("data.root=cats").record
    assert before.name != after.name
    assert before.protocol != after.protocol


def test_a_run_directory_of_before_is_asked_for_the_data_of_its_trials(planned: Callable[..., SweepPlan]) -> None:
    cats = planned("data.root=cats")
    store = RecordStore("runs")
    values = store.sweep("s").to_json()
    del values["data"]
    store.write("sweeps/s/sweep.json", values)
    assert planned("data.root=dogs").record.name == "s", "nothing has run under this name"
    store.write("sweeps/s/sweep.json", values)
    trial = cats.trials[0]
    store.start(trial.trial_id, 1, {}, time=1.0, facts={"data": trial.data_digest, "result_version": 3})
    assert planned("data.root=dogs").record.name.startswith("s+data=folder-")
    assert planned("data.root=moved").record.name == "s"


def test_a_name_by_hand_stays_and_the_caption_names_the_data(planned: Callable[..., SweepPlan]) -> None:
    record = planned("data.root=dogs", name="mine").record
    assert record.name == "mine"
    assert record.protocol.endswith(f", data=folder-{record.data[0].digest[:6]}")


def test_settings_that_no_caption_shows_are_named_in_it(planned: Callable[..., SweepPlan]) -> None:
    plain, changed = (planned("data.root=cats", *more).record.protocol for more in ((), ("contrast.weight=0.25",)))
    assert changed == f"{plain}, weight=0.25"


def test_weights_count_by_their_content(planned: Callable[..., SweepPlan], tmp_path: Path) -> None:
    for name, content in (("a.pth", b"1"), ("b.pth", b"2"), ("c.pth", b"1")):
        (tmp_path / name).write_bytes(content)
    records = [planned("data.root=cats", f"model.weights={name}").record for name in ("a.pth", "b.pth", "c.pth")]
    names = [record.name for record in records]
    assert names[0] == names[2] != names[1]
    assert names[0].startswith("s+weights=file-")
    assert records[0].protocol != records[1].protocol


def test_status_finds_the_sweep_of_the_data(
    planned: Callable[..., SweepPlan], capsys: pytest.CaptureFixture[str]
) -> None:
    planned("data.root=cats")
    dogs = planned("data.root=dogs").record.name
    for options, name in (
        (["--set", "data.root=dogs"], dogs),
        (["--name", dogs], dogs),
        ([], "s"),
        (["--set", "data.root=moved"], "s"),
    ):
        assert orchestrator(["status", "s.yaml", *options]) == 1
        assert capsys.readouterr().out.startswith(f"{name}: 2 trials: ")
