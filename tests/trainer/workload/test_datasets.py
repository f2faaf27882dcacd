"""Data sets are checked while planning; a mistake is reported at the line that names it."""

from __future__ import annotations

import pytest

from orchestrator.workload.inputs import forget
from trainer.config import DataConfig
from trainer.testing.look_alikes import LOOK_ALIKES
from trainer.workload.datasets import data_facts


def settings_of(**data):
    """The config of a data set."""
    return DataConfig(**data)


def test_dummy_labels_are_refused_at_the_split_that_names_them(tmp_path):
    tree = LOOK_ALIKES["cityscapes"](tmp_path)
    with pytest.raises(ValueError, match=r"^data\.") as caught:
        data_facts(settings_of(name="cityscapes", root=str(tree.root)), forget)
    message = str(caught.value)
    assert message.startswith("data.test_split: the labels of split 'test' are dummies")
    assert message.endswith("choose train, val")


def test_a_split_that_a_data_set_lacks_is_named(tmp_path):
    tree = LOOK_ALIKES["coco_stuff_10k"](tmp_path)
    with pytest.raises(ValueError, match=r"^data\.") as caught:
        data_facts(settings_of(name="coco_stuff_10k", root=str(tree.root)), forget)
    message = str(caught.value)
    assert message.startswith("data.val_split: ")
    assert "no split 'val'; choose train, test" in message


def test_facts_of_a_sound_data_set(tmp_path):
    tree = LOOK_ALIKES["pascal_context_mat"](tmp_path)
    facts = data_facts(
        settings_of(
            name="pascal_context", root=str(tree.root), train_split="trainval", test_split="val", absent_classes="allow"
        ),
        forget,
    )
    assert (facts.train_images, facts.test_images) == (4, 2)
