"""The part of train that is held out for searches."""

from collections import Counter

import pytest

from trainer.config import DataConfig
from trainer.data import open_source
from trainer.data.reading.held_out import is_held_out
from trainer.errors import DataError
from trainer.testing.look_alikes import LOOK_ALIKES

TRAIN_CITIES = {
    "aachen": 174, "bochum": 96, "bremen": 316, "cologne": 154, "darmstadt": 85, "dusseldorf": 221, "erfurt": 109,
    "hamburg": 248, "hanover": 196, "jena": 119, "krefeld": 99, "monchengladbach": 94, "strasbourg": 365,
    "stuttgart": 196, "tubingen": 144, "ulm": 95, "weimar": 142, "zurich": 122,
}  # fmt: skip
"""Training images of Cityscapes by city."""


def test_a_tenth_is_held_out_whatever_the_order():
    groups = [f"image {number}" for number in range(1000)]
    held = dict(zip(groups, is_held_out(groups), strict=True))
    assert sum(held.values()) == 100
    backwards = groups[::-1]
    assert dict(zip(backwards, is_held_out(backwards), strict=True)) == held


def test_whole_cities_of_cityscapes_are_held_out():
    groups = [city for city, size in TRAIN_CITIES.items() for _ in range(size)]
    assert len(groups) == 2975
    held = is_held_out(groups)
    chosen = Counter(group for group, is_held in zip(groups, held, strict=True) if is_held)
    assert chosen == {"aachen": 174, "erfurt": 109, "jena": 119}, "402 of 2,975"


def test_more_images_of_a_group_do_not_move_the_others():
    few, many = ["a", "b", "c", "d"], ["a", "b", "c", "d", "d", "d"]
    assert is_held_out(few) == is_held_out(many)[:4]


@pytest.mark.parametrize("groups", [[], ["0001TP"] * 9])
def test_a_single_group_cannot_be_divided(groups):
    with pytest.raises(DataError, match=r"belong together .*; choose another data\.val_split"):
        is_held_out(groups)


def test_a_split_of_the_users_own_with_that_name_is_theirs(tmp_path):
    LOOK_ALIKES["folder"](tmp_path)
    (tmp_path / "images/night").rename(tmp_path / "images/search")
    (tmp_path / "labels/night").rename(tmp_path / "labels/search")
    source = open_source(DataConfig(name="folder", root=str(tmp_path)))
    assert source.stems("search") == ("a", "b")
    assert source.parts("train") == ("train",)


def test_the_held_out_part_follows_the_files(tmp_path):
    LOOK_ALIKES["folder"](tmp_path)
    source = open_source(DataConfig(name="folder", root=str(tmp_path)))
    assert source.size("search") == 1
    for folder in ("images", "labels"):
        (tmp_path / folder / "train/a.png").unlink()
    source.check_layout()
    with pytest.raises(DataError, match="belong together"):
        source.size("search")
