"""Data sets are checked while planning; a mistake is reported at the line that names it."""

from __future__ import annotations

import pytest

from orchestrator.errors import SpecError
from orchestrator.planning.build_config import ResolvedRow, SettingSources
from orchestrator.planning.datasets import data_facts
from trainer.config import DataConfig, TrainConfig
from trainer.testing.look_alikes import LOOK_ALIKES


def row(**data):
    """A row of recipe.yaml:3 that trains on a data set."""
    return ResolvedRow(TrainConfig(data=DataConfig(**data)), SettingSources({}, "recipe.yaml:3"))


def test_dummy_labels_are_refused_at_the_split_that_names_them(tmp_path):
    tree = LOOK_ALIKES["cityscapes"](tmp_path)
    with pytest.raises(SpecError) as caught:
        data_facts(row(name="cityscapes", root=str(tree.root)), None)
    (message,) = caught.value.messages
    assert message.startswith("recipe.yaml:3: data.test_split: the labels of split 'test' are dummies")
    assert message.endswith("choose train, val")


def test_a_split_that_a_data_set_lacks_is_named(tmp_path):
    tree = LOOK_ALIKES["coco_stuff_10k"](tmp_path)
    with pytest.raises(SpecError) as caught:
        data_facts(row(name="coco_stuff_10k", root=str(tree.root)), None)
    (message,) = caught.value.messages
    assert message.startswith("recipe.yaml:3: data.val_split: ")
    assert "no split 'val'; choose train, test" in message


def test_facts_of_a_sound_data_set(tmp_path):
    tree = LOOK_ALIKES["pascal_context_mat"](tmp_path)
    facts = data_facts(
        row(
            name="pascal_context", root=str(tree.root), train_split="trainval", test_split="val", absent_classes="allow"
        ),
        None,
    )
    assert (facts.train_images, facts.test_images) == (4, 2)
