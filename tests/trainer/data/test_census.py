"""The census is compared with counts by hand, and what is implausible is found."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from trainer.config import DataConfig
from trainer.data import open_source
from trainer.data.census import Census, findings_in, take_census
from trainer.data.reading.in_order import in_order
from trainer.testing.look_alikes import LOOK_ALIKES


def write(root, split, stem, label, *, image=None, mode="RGB"):
    """A pair; the image is random unless given."""
    label = np.asarray(label, dtype=np.uint8)
    if image is None:
        image = np.random.default_rng(sum(map(ord, split + stem))).integers(0, 256, (*label.shape, 3), dtype=np.uint8)
    for folder, pixels in (("images", Image.fromarray(image).convert(mode)), ("labels", Image.fromarray(label))):
        (root / folder / split).mkdir(parents=True, exist_ok=True)
        pixels.save(root / folder / split / f"{stem}.png")


@pytest.fixture
def root(tmp_path):
    """Three classes; every split has something of its own."""
    (tmp_path / "classes.yaml").write_text("names: [road, sky, tree]\n")
    write(tmp_path, "train", "a", [[0, 0, 1], [1, 255, 255]])
    write(tmp_path, "train", "b", [[2, 2], [2, 0]], mode="L")
    write(tmp_path, "val", "c", [[255, 255, 255]], image=np.full((1, 3, 3), 7, dtype=np.uint8))
    write(tmp_path, "test", "d", [[0, 1, 1, 1]])
    write(tmp_path, "test", "e", [[0, 0, 1], [1, 1, 1]])
    for kind in ("images", "labels"):
        (tmp_path / kind / "test/e.png").write_bytes((tmp_path / kind / "train/a.png").read_bytes())
    return tmp_path


def census_of(root) -> Census:
    return take_census(open_source(DataConfig(name="folder", root=str(root))))


def test_counts_by_hand(root):
    census = census_of(root)
    train = census.splits["train"]
    assert (train.images, train.pixels, train.images_with, train.void) == (2, (3, 2, 3), (2, 1, 1), 2)
    assert (train.labelled, train.void_share, train.unlabelled) == (8, 0.2, 0)
    assert (dict(train.sizes), dict(train.modes)) == ({"3x2": 1, "2x2": 1}, {"RGB": 1, "L": 1})
    val = census.splits["val"]
    assert (val.pixels, val.void, val.unlabelled, val.constant) == ((0, 0, 0), 3, 1, 1)
    assert census.absent(["train"]) == ()
    assert census.absent(["test"]) == ("tree",)
    assert census.absent(["val"]) == ("road", "sky", "tree")
    both = census.of(["train", "val"])
    assert (both.images, both.pixels, both.void, both.sizes["3x1"]) == (3, (3, 2, 3), 5, 1)


def test_images_in_two_splits_are_found(root):
    (found,) = census_of(root).duplicates
    assert (found.splits, found.count, found.examples) == (("train", "test"), 1, ("a = e",))


def test_what_is_implausible_is_named(root):
    texts = list(findings_in(census_of(root), {"train", "val", "test"}))
    assert texts == [
        "stored in different modes: the images of train, RGB (1), L (1)",
        "no label of val shows road, sky, tree",
        "one image only: val",
        "void everywhere: 1 of 1 labels of val",
        "near-constant: 1 of 1 images of val (c)",
        "no label of test shows tree",
        "in both train and test: 1 image (a = e)",
    ]
    assert not list(findings_in(census_of(root), {"other"}))


def test_turned_images_are_counted(root):
    path = root / "images/train/b.png"
    exif = Image.Exif()
    exif[0x0112] = 3
    with Image.open(path) as image:
        image.load()
        image.save(path, exif=exif)
    census = census_of(root)
    assert census.splits["train"].turned == 1
    assert "turned as their EXIF orientation says: 1 of 2 images of train" in findings_in(census, {"train"})


def test_it_comes_back_from_json(root):
    census = census_of(root)
    assert Census.from_json(json.loads(json.dumps(census.to_json()))) == census


@pytest.mark.parametrize("name", sorted(LOOK_ALIKES))
def test_every_label_is_counted_once(name, tmp_path):
    tree = LOOK_ALIKES[name](tmp_path / "set")
    source = open_source(DataConfig(name=tree.name, root=str(tree.root)))
    census = take_census(source)
    for split, found in census.splits.items():
        labels = [source.read(split, index)[1] for index in range(source.size(split))]
        counts = sum(np.bincount(label.reshape(-1), minlength=256) for label in labels)
        assert found.pixels == tuple(counts[: len(source.class_names)])
        assert found.void == counts[255]
        assert sum(found.sizes.values()) == found.images == len(labels)


def test_results_are_in_order_and_few_wait():
    started = []

    def square(number):
        started.append(number)
        return number**2

    results = in_order(square, range(500))
    assert next(results) == 0
    assert len(started) < 200
    assert list(results) == [number**2 for number in range(1, 500)]
