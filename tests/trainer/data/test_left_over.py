"""`python -m trainer.data check` counts the images and labels that a description does not use; none stops a run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.trainer.data.layouts import LAYOUTS
from trainer.data.__main__ import main
from trainer.data.files.folder import Folder
from trainer.data.left_over import MOST_GROUPS, left_over


def write(path: Path, labels: bool = False) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(len(str(path))).integers(0, 2, (4, 6) if labels else (4, 6, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)


@pytest.fixture
def root(tmp_path):
    """Two pairs."""
    for stem in ("a", "b"):
        write(tmp_path / f"images/{stem}.png")
        write(tmp_path / f"masks/{stem}_m.png", labels=True)
    return tmp_path


LISTS = "images: images/*.png\nlabels: masks/{stem}_m.png\nsplits: {train: [a], val: [b]}\n"
SHARES = "images: images/*.png\nlabels: masks/{stem}_m.png\nsplits: {train: 0.5, val: 0.5}\n"


def found(root: Path, text: str) -> list[str]:
    """What is left over; the data set is used without it."""
    (root / "classes.yaml").write_text(f"names: [x, y]\n{text}")
    source = Folder(root)
    source.check_layout()
    return list(left_over(source))


@pytest.mark.parametrize(
    ("text", "files", "expected"),
    [
        (LISTS, (), ()),
        (LISTS, ("images/c.png", "images/d.png"), ("2 images in no split of {file}; the first is images/c.png",)),
        (LISTS, ("masks/z_m.png",), ("1 label without image; the first is masks/z_m.png",)),
        (
            SHARES + "unpaired: skip\n",
            ("images/c.png",),
            ("1 image without label (unpaired: skip); the first is images/c.png",),
        ),
        (SHARES + "unpaired: skip\n", ("masks/z_m.png",), ("1 label without image; the first is masks/z_m.png",)),
        (
            SHARES,
            ("images/X.tif", "images/Y.TIF"),
            ("2 .tif files that no pattern takes (if images: add .tif to images); the first is images/X.tif",),
        ),
        (
            SHARES,
            ("masks/x_m.bmp",),
            ("1 .bmp file that no pattern takes (if labels: add .bmp to labels); the first is masks/x_m.bmp",),
        ),
        (SHARES, ("masks/a_m.bmp",), ("1 .bmp file that no pattern takes; the first is masks/a_m.bmp",)),
        (
            SHARES,
            ("colours/a.png", "colours/b.png", "more/a.gif"),
            (
                "2 .png files that no pattern takes; the first is colours/a.png",
                "1 .gif file that no pattern takes; the first is more/a.gif",
            ),
        ),
        (SHARES, (".hidden/a.png", "images/.b.png", "notes.txt", "meta/a.json"), ()),
    ],
)
def test_what_lies_beside_two_pairs(root, text, files, expected):
    for file in files:
        if Path(file).suffix in (".txt", ".json"):
            (root / file).parent.mkdir(exist_ok=True)
            (root / file).write_text("x")
        else:
            write(root / file, labels="masks" in file)
    assert found(root, text) == [line.format(file=root / "classes.yaml") for line in expected]


def test_formats_that_cannot_be_read(root):
    (root / "images/c.jp2").write_bytes(b"x")
    (line,) = found(root, SHARES)
    assert line == (
        "1 .jp2 file that no pattern takes (.jp2 cannot be read: convert to .png or .tif); the first is images/c.jp2"
    )


def test_splits_that_are_not_used_and_labels_of_all_splits_in_one_folder(tmp_path):
    for split, stem in (("train", "a"), ("val", "b"), ("night", "c")):
        write(tmp_path / f"{split}/{stem}.png")
        write(tmp_path / f"masks/{stem}.png", labels=True)
    write(tmp_path / "masks/z.png", labels=True)
    text = "images: '{split}/*.png'\nlabels: masks/{stem}.png\nsplits: [train, val]\n"
    assert found(tmp_path, text) == [
        f"1 image in no split of {tmp_path / 'classes.yaml'}; the first is night/c.png",
        "1 label without image; the first is masks/z.png",
    ]


def test_many_folders_are_counted(root):
    for number in range(MOST_GROUPS + 2):
        write(root / f"more{number}/a.png")
    lines = found(root, SHARES)
    assert len(lines) == MOST_GROUPS + 1
    assert lines[-1] == "files that no pattern takes in 2 more folders"


@pytest.mark.parametrize("name", sorted(LAYOUTS))
def test_no_used_file_of_a_layout_is_left_over(name, tmp_path, capsys):
    """Files in pairs are not named, and what is named exists."""
    layout = LAYOUTS[name](tmp_path / "set")
    layout.file.write_text(layout.description)
    source = Folder(layout.tree.root, description=layout.file)
    pairs = [pair for split in source.splits for pair in source.listings[split].pairs]
    used = {path.relative_to(source.root).as_posix() for pair in pairs for path in (pair.image, pair.label)}
    for line in left_over(source):
        first = line.partition("the first is ")[2]
        assert (source.root / first).is_file(), line
        assert first not in used


def test_check_prints_it_and_succeeds(tmp_path, capsys):
    layout = LAYOUTS["voc"](tmp_path / "set")
    layout.file.write_text(layout.description)
    assert main(["check", str(layout.tree.root), "--classes", str(layout.file)]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("left over: ")]
    base = "VOCdevkit/VOC2012"
    assert lines == [
        f"left over: 1 image in no split of {layout.file}; the first is {base}/JPEGImages/2012_004331.jpg",
        f"left over: 4 .png files that no pattern takes; the first is {base}/SegmentationObject/2007_000032.png",
    ]
