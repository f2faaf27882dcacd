"""Data that decodes but cannot be meant is refused while planning, and counted once for each content."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import trainer.workload.census
from orchestrator.commands.verify import verify
from orchestrator.errors import SpecError
from orchestrator.planning.plan import CACHE, plan_sweep
from orchestrator.spec.sweep_spec import read_spec
from orchestrator.store.run_directory import RunDirectory
from orchestrator.store.sweep_record import SweepRecord
from trainer.config import DataConfig
from trainer.data import open_source
from trainer.data.__main__ import main
from trainer.data.reading.cache import CACHE_FOLDER

ROWS = """\
method: ablation
recipe: small
fixed:
  data.name: folder
  data.root: data
rows: {a: {}, b: {optim.lr: 0.1}}
"""
LEGAL = [[0, 0, 1], [1, 255, 1]]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A current folder with a recipe and a data set of two classes, and a decoded cache of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(CACHE_FOLDER, str(tmp_path / "decoded"))
    (tmp_path / "recipes").mkdir()
    (tmp_path / "recipes" / "small.yaml").write_text("data: {crop: [64, 64]}\nschedule.steps: 10\n")
    for number, split in enumerate(("train", "val", "test")):
        image = np.random.default_rng(number).integers(0, 256, (2, 3, 3), dtype=np.uint8)
        write(tmp_path / "data/images" / split / "a.png", image)
        write(tmp_path / "data/labels" / split / "a.png", LEGAL)
    (tmp_path / "data/classes.yaml").write_text("names: [ground, person]\n")
    return tmp_path


def write(path: Path, pixels) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(pixels, dtype=np.uint8)).save(path)


def label(pixels, split="train") -> None:
    write(Path("data/labels") / split / "a.png", pixels)


def plan(*settings):
    Path("s.yaml").write_text(ROWS)
    return plan_sweep(read_spec(Path("s.yaml"), settings=settings), run_dir=Path("runs"))


def message(*settings) -> str:
    with pytest.raises(SpecError) as caught:
        plan(*settings)
    (only,) = caught.value.messages
    return only


def test_masks_of_0_and_255_are_no_perfect_score(folder):
    """Seen: 100.00 ± 0.00 in every column, because the second class was void everywhere."""
    for split in ("train", "val", "test"):
        label([[0, 0, 255], [255, 0, 255]], split)
    assert message() == (
        "s.yaml:5: data.root: no label of train shows class 'person'; the labels hold 0 and 255; is 255 the class "
        "'person'? 255 is void: add `map: {0: ground, 255: person}` to classes.yaml, or set data.absent_classes: allow"
    )


@pytest.mark.parametrize(
    ("names", "pixels", "held"),
    [
        ("a, b, c", [[1, 2, 1]], "class 'a'; the labels hold 1 and 2; do your ids start at 1? The first class is 0"),
        ("a, b, c", [[0, 1, 255]], "class 'c'; the labels hold 0, 1 and 255; is 255 the class 'c'?"),
        ("a, b, c", [[0, 0, 0]], "classes 'b', 'c'; the labels hold 0; remove what is absent from classes.yaml"),
    ],
)
def test_the_values_of_the_files_suggest_what_is_wrong(folder, names, pixels, held):
    Path("data/classes.yaml").write_text(f"names: [{names}]\n")
    write(Path("data/images/train/a.png"), np.zeros((1, 3, 3)))
    label(pixels)
    assert f"no label of train shows {held}" in message()


def test_a_class_that_only_the_held_out_part_shows_is_absent(folder):
    """A search trains on train without its part `search`."""
    for place, pixels in enumerate(([[0, 0, 0]], [[0, 0, 0]], [[0, 0, 1]])):
        write(Path(f"data/images/train/{place}.png"), np.full((1, 3, 3), 99 + place))
        write(Path(f"data/labels/train/{place}.png"), pixels)
    for kind in ("images", "labels"):
        Path(f"data/{kind}/train/a.png").unlink()
    plan()
    source = open_source(DataConfig(name="folder", root="data"))
    searched = source.stems("search")[0]
    for place in range(3):
        write(Path(f"data/labels/train/{place}.png"), [[0, 0, int(str(place) == searched)]])
    assert plan().record.data[0].notes == ()
    settings = ("data.train_split=train_without_search", "data.val_split=search")
    assert "no label of train_without_search shows class 'person'; the labels hold 0" in message(*settings)
    (data,) = plan(*settings, "data.absent_classes=allow").record.data
    assert [(split.name, split.images, split.present) for split in data.splits] == [
        ("train_without_search", 2, 1),
        ("search", 1, 2),
        ("test", 1, 2),
    ]


def test_absent_classes_can_be_allowed_and_rename_no_trial(folder):
    complete = [trial.trial_id for trial in plan().trials]
    assert [trial.trial_id for trial in plan("data.absent_classes=allow").trials] == complete
    assert [trial.trial_id for trial in plan("data.absent_classes=refuse").trials] == complete
    label([[0, 0, 255], [255, 0, 255]])
    (data,) = plan("data.absent_classes=allow").record.data
    assert data.notes == ("No label of the train split shows person.",)


def test_a_class_that_the_test_split_lacks_is_a_note(folder):
    label([[0, 0, 0], [0, 255, 0]], "test")
    record = plan().record
    (data,) = record.data
    assert data.notes == ("No label of the test split shows person.",)
    assert data.split("test").present == 1
    assert data.class_names == ("ground", "person")
    assert SweepRecord.from_json(record.to_json()).data == record.data


@pytest.mark.parametrize("split", ["train", "val", "test"])
@pytest.mark.parametrize("settings", [(), ("data.absent_classes=allow",)])
def test_a_split_without_labelled_pixels_is_refused(folder, split, settings, capsys):
    """Its loss is NaN, or its mIoU undefined. The command for data sets refuses it, too."""
    label([[255, 255, 255], [255, 255, 255]], split)
    text = (
        f"every label of {split} is void everywhere, so there is nothing to average; label it, correct map or ignore "
        "in data/classes.yaml, or choose another split"
    )
    assert message(*settings).replace(f"{folder}/", "").endswith(f": data.{split}_split: {text}")
    assert main(["check", "data"]) == 1
    assert f"a run is refused:\n  {text}\n" in capsys.readouterr().out


def test_a_held_out_part_without_labelled_pixels_is_refused(folder):
    for place in range(3):
        write(Path(f"data/images/train/{place}.png"), np.full((2, 3, 3), 99 + place))
        write(Path(f"data/labels/train/{place}.png"), LEGAL)
    for stem in open_source(DataConfig(name="folder", root="data")).stems("search"):
        write(Path(f"data/labels/train/{stem}.png"), [[255, 255, 255]] * 2)
    plan()
    settings = ("data.train_split=train_without_search", "data.val_split=search")
    assert "data.val_split: every label of search is void everywhere" in message(*settings)


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_what_a_split_lacks_is_refused_in_train_and_a_finding_elsewhere(folder, split, capsys):
    label([[0, 0, 0], [0, 255, 0]], split)
    assert main(["check", "data"]) == int(split == "train")
    out = capsys.readouterr().out
    assert f"note: no label of {split} shows person" in out
    if split == "train":
        assert "no label of train shows class 'person'" in message()
        assert main(["check", "data", "--absent-classes", "allow"]) == 0
    else:
        assert f"no label of {split} shows person" in plan().record.data[0].findings


def test_test_images_that_are_trained_on_are_a_note(folder):
    Path("data/images/test/a.png").write_bytes(Path("data/images/train/a.png").read_bytes())
    (data,) = plan().record.data
    assert data.notes == ("The test split holds training images: 1 image in both train and test.",)
    (data,) = plan("data.test_split=train").record.data
    assert data.notes == ("The test split holds training images: all of train.",)


@pytest.fixture
def counted(monkeypatch):
    """A list that grows with each census that is taken."""
    calls, take = [], trainer.workload.census.take_census
    monkeypatch.setattr(trainer.workload.census, "take_census", lambda source: calls.append(1) or take(source))
    return calls


def test_a_content_is_counted_once(folder, counted):
    first = plan().record.data
    assert plan().record.data == first
    Path("data").rename("moved")
    assert plan("data.root=moved").record.data == first
    assert len(counted) == 1
    for path in (*Path("decoded").glob("*/census-*"),):
        path.unlink()
    plan("data.root=moved")
    assert len(counted) == 1  # the run directory has it too
    assert len(list((Path("runs") / CACHE).glob("census-*"))) == 1
    found = verify(RunDirectory("runs"), [], everything=True, deep=False)
    assert (found.damaged, found.tallies["caches"].unverified) == ([], 0)


@pytest.mark.parametrize("damage", [b"", b"{}", b"\xff", b"0\n{}\n"])
def test_a_damaged_census_is_counted_again(folder, counted, damage):
    first = plan().record.data
    for path in (*Path("decoded").glob("*/census-*"), *(Path("runs") / CACHE).glob("census-*")):
        path.write_bytes(damage)
    assert plan().record.data == first
    assert len(counted) == 2


def test_every_flipped_bit_of_a_census_is_seen(folder, counted):
    first = plan("data.root=data").record.data
    (Path("runs") / CACHE).joinpath("x").touch()
    (kept,) = Path("decoded").glob("*/census-*")
    for path in (Path("runs") / CACHE).glob("census-*"):
        path.unlink()
    content = kept.read_bytes()
    for place in range(0, len(content), 37):
        changed = bytearray(content)
        changed[place] ^= 1
        kept.write_bytes(changed)
        assert plan().record.data == first
        for path in (Path("runs") / CACHE).glob("census-*"):
            path.unlink()


def test_without_a_place_to_keep_it_a_census_is_counted_each_time(folder, counted, monkeypatch):
    monkeypatch.setenv(CACHE_FOLDER, "off")
    Path("runs").write_text("a file")
    plan()
    plan()
    assert len(counted) == 2


def test_a_label_that_is_repaired_without_changing_size_and_time_is_seen(folder):
    path = Path("data/labels/train/a.png")
    label([[0, 0, 1], [1, 1, 1]])
    before, state = [trial.trial_id for trial in plan().trials], path.stat()
    content = path.read_bytes()
    repaired = Path("repaired.png")
    write(repaired, [[0, 1, 0], [1, 1, 1]])
    assert len(repaired.read_bytes()) == len(content)
    path.write_bytes(repaired.read_bytes())
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (state.st_size, state.st_mtime_ns)
    assert [trial.trial_id for trial in plan().trials] != before
    path.write_bytes(content)
    assert [trial.trial_id for trial in plan().trials] == before


def test_the_classes_are_content(folder):
    """Seen beside it: another number of classes in classes.yaml reused the trials of before."""
    before = [trial.trial_id for trial in plan().trials]
    Path("data/classes.yaml").write_text("names: [ground, person, sky]\n")
    assert [trial.trial_id for trial in plan("data.absent_classes=allow").trials] != before


def test_drawn_scenes_are_not_counted(folder, counted):
    (data,) = plan("data.name=synthetic").record.data
    assert (data.splits, data.notes, len(data.class_names)) == ((), (), 11)
    assert counted == []
