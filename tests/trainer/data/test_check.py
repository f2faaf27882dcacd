"""`python -m trainer.data check`: counts, broken files, the sheet, exit codes."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from trainer.data.__main__ import main
from trainer.data.census import take_census
from trainer.data.check import COLUMNS, TILE_WIDTH, sample_numbers
from trainer.data.files.folder import Folder
from trainer.testing.dataset import error_of
from trainer.testing.look_alikes import LOOK_ALIKES, WIDTH


@pytest.fixture
def tree(tmp_path):
    return LOOK_ALIKES["cityscapes"](tmp_path / "set")


def check(tree, *more) -> int:
    """Without the refusal of classes that the few labels do not show."""
    given = ("--data", tree.name, "--root", tree.root, "--absent-classes", "allow", *more)
    return main(["check", *map(str, given)])


@pytest.mark.parametrize("name", sorted(LOOK_ALIKES))
def test_every_layout_can_be_checked_and_drawn(name, tmp_path, capsys):
    tree = LOOK_ALIKES[name](tmp_path / "set")
    assert check(tree, "--out", tmp_path / "sheet.png") == 0
    assert "broken:" not in capsys.readouterr().out
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.width == COLUMNS * TILE_WIDTH


def test_counts_shares_and_sizes(tree, capsys):
    assert check(tree, "--all") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "3 splits, 6 pairs, none broken; a run accepts the data set"
    assert lines[3].split() == ["train", "2", "0", "33.3%", f"{WIDTH}x8", "(2)", "RGB", "(2)"]
    road = next(line for line in lines if line.split()[:2] == ["0", "road"])
    assert road.split()[2:] == ["25.000", "2", "25.000", "2", "-", "0"]  # a quarter of what is labelled; test is void
    assert any("labels of test are dummies" in line for line in lines)


def test_of_many_classes_the_rarest_are_shown(tree, capsys):
    """Cityscapes has 19; the labels of the tree show few of them."""
    assert check(tree) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) <= 24, "with the notes"
    assert "and 11 classes with more pixels in train; --all lists them" in lines
    shown = [line for line in lines[1:] if line[:2].strip().isdigit()]
    assert len(shown) == 8
    assert all(line.split()[-6:-4] == ["-", "0"] for line in shown), "no pixel of train"


def test_all_that_is_broken_is_listed(tree, capsys):
    tree.write_illegal(tree.label)
    image = tree.root / "leftImg8bit/val/munster/munster_000000_000019_leftImg8bit.png"
    image.write_bytes(image.read_bytes()[:50])
    (tree.root / "gtFine/train/zurich/zurich_000000_000019_gtFine_labelIds.png").unlink()
    (tree.root / "gtFine/test/bonn/bonn_000000_000019_gtFine_labelIds.png").unlink()
    assert check(tree) == 1
    out = capsys.readouterr().out
    assert len(out.partition("\nbroken:\n")[2].splitlines()) == 4
    assert f"label id 34 ({8 * WIDTH} pixels); legal are the label ids 0..33" in out
    assert f"{image}: cannot be decoded" in out
    assert "zurich_000000_000019_leftImg8bit.png: no label" in out
    assert "bonn_000000_000019_leftImg8bit.png: no label" in out


def test_illegal_ids_are_counted_in_pixels_and_labels(tmp_path, capsys):
    """One sentence for all labels, here and while planning."""
    tree = LOOK_ALIKES["folder"](tmp_path / "set")
    for number, ids in enumerate(((0, 9), (0, 0, 9, 7), (3, 4, 5, 6, 7, 8))):
        split = ("train", "val", "night")[number]
        Image.fromarray(np.resize(np.array(ids, dtype=np.uint8), (8, 12))).save(tree.root / f"labels/{split}/a.png")
    assert check(tree) == 1
    out = capsys.readouterr().out
    remedy = f"map the ids to 0..2, or 255 for void; or add `map` or `ignore` to {tree.root}/classes.yaml"
    assert f"{tree.label}: label id 9 (48 pixels); {remedy}" in out
    assert len(out.partition("\nbroken:\n")[2].splitlines()) == 3, "one for each split"
    message = error_of(lambda: take_census(Folder(tree.root)))
    assert message == (
        f"{tree.label}: label id 9 (72 pixels in 2 labels), 7 (40 pixels in 2 labels), 3 (16 pixels in 1 label), "
        f"4 (16 pixels in 1 label), 5 (16 pixels in 1 label) and 2 more; {remedy}"
    )


def test_a_missing_list_is_broken(tmp_path, capsys):
    tree = LOOK_ALIKES["folder"](tmp_path / "set")
    file = tmp_path / "classes.yaml"
    file.write_text(
        "names: [road, traffic light, sky]\nimages: images/*/*.png\nlabels: labels/{folder}/{stem}.png\n"
        "splits: {train: gone.txt, val: [train/a]}\n"
    )
    assert check(tree, "--classes", file) == 1
    assert f"{tree.root}/gone.txt: cannot be read" in capsys.readouterr().out


def test_wrong_usage_is_2(tree, tmp_path, capsys):
    assert main(["check", "--data", "cityscapes", "--root", str(tmp_path / "nowhere")]) == 2
    assert "no such folder" in capsys.readouterr().err
    assert check(tree, "--out", tmp_path / "no" / "sheet.png") == 2
    for wrong in (["check", "--data", "kitti"], ["check"], [], ["check", "--data", "camvid", "--samples", "0"]):
        with pytest.raises(SystemExit) as caught:
            main(wrong)
        assert caught.value.code == 2


def test_the_sheet_shows_the_palette(tree, tmp_path):
    assert check(tree, "--out", tmp_path / "sheet.png", "--samples", 1) == 0
    with Image.open(tmp_path / "sheet.png") as sheet:
        colours = {tuple(colour) for colour in np.unique(np.asarray(sheet)[:240].reshape(-1, 3), axis=0).tolist()}
    assert {(128, 64, 128), (119, 11, 32), (0, 0, 0)} <= colours  # road, bicycle, void


def test_the_command_needs_neither_torch_nor_files():
    code = (
        "import sys; from trainer.data.__main__ import main;"
        "status = main(['check', '--data', 'synthetic', '--samples', '1']); assert 'torch' not in sys.modules;"
        "sys.exit(status)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "pedestrian" in done.stdout


def test_samples_are_spread():
    assert sample_numbers(101, 3) == {0, 50, 100}
    assert sample_numbers(2, 5) == {0, 1}
    assert sample_numbers(0, 3) == set()
