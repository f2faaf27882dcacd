"""What planning says of data sets: which split is refused, at the line that names it."""

from __future__ import annotations

from orchestrator.planning.caption import DATA_TITLES
from orchestrator.planning.datasets import check_data, data_key
from trainer.config import DataConfig
from trainer.data import DATASETS
from trainer.testing.look_alikes import LOOK_ALIKES


def test_every_data_set_has_a_title():
    assert set(DATA_TITLES) == set(DATASETS)


def test_dummy_labels_are_refused_at_the_split_that_names_them(tmp_path):
    tree = LOOK_ALIKES["cityscapes"](tmp_path)
    problems = []
    config = DataConfig(name="cityscapes", root=str(tree.root))
    assert check_data([(config, {}, "recipe.yaml:3")], None, problems) == {}
    (problem,) = problems
    assert "data.test_split: the labels of split 'test' are dummies" in problem
    assert problem.endswith("choose train, val")


def test_a_split_that_a_data_set_lacks_is_named(tmp_path):
    tree = LOOK_ALIKES["coco_stuff_10k"](tmp_path)
    problems = []
    check_data([(DataConfig(name="coco_stuff_10k", root=str(tree.root)), {}, "recipe.yaml:3")], None, problems)
    (problem,) = problems
    assert "data.val_split: " in problem
    assert "no split 'val'; choose train, test" in problem


def test_facts_of_a_sound_data_set(tmp_path):
    tree = LOOK_ALIKES["pascal_context_mat"](tmp_path)
    config = DataConfig(name="pascal_context", root=str(tree.root), train_split="trainval", test_split="val")
    facts = check_data([(config, {}, "here")], None, problems := [])[data_key(config)]
    assert problems == []
    assert (facts.train_images, facts.test_images) == (4, 2)
