"""Every data set of the table, in every layout, against the contract."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from trainer.config import DataConfig, SyntheticConfig
from trainer.data import DATASETS, Source, open_source, require_labels
from trainer.data.files.ade20k import ADE20K
from trainer.data.files.camvid import ORIGINAL_CLASSES
from trainer.data.files.camvid import PALETTE as CAMVID_PALETTE
from trainer.data.files.cityscapes import Cityscapes
from trainer.data.files.coco_stuff import CocoStuff10K, CocoStuff164K
from trainer.data.files.pascal_context import PascalContext
from trainer.data.loading.batches import TrainBatches, evaluation_batches
from trainer.data.loading.loader import Loader
from trainer.data.reading.cache import CACHE_FOLDER
from trainer.testing.dataset import DatasetContract, PairsContract, error_of
from trainer.testing.look_alikes import LOOK_ALIKES, LookAlike


class TestSynthetic(DatasetContract):
    @pytest.fixture
    def source(self) -> Source:
        tiny = SyntheticConfig(train_images=2, val_images=1, test_images=1, height=32, width=48)
        return open_source(DataConfig(synthetic=tiny))


class TestPairs(PairsContract):
    @pytest.fixture(params=sorted(LOOK_ALIKES))
    def tree(self, request, tmp_path) -> LookAlike:
        return LOOK_ALIKES[request.param](tmp_path / "set")


def test_every_data_set_of_the_table_is_in_a_suite(tmp_path):
    assert {build(tmp_path / name).name for name, build in LOOK_ALIKES.items()} | {"synthetic"} == set(DATASETS)


def test_numbers_of_classes():
    classes = (Cityscapes, PascalContext, CocoStuff10K, CocoStuff164K, ADE20K)
    assert [len(source.class_names) for source in classes] == [19, 59, 171, 171, 150]


def test_classes_of_some_ids_by_name():
    """Looked up in the data sets' own tables of labels."""
    for source, raw, name in (
        (Cityscapes, 7, "road"),
        (Cityscapes, 26, "car"),
        (PascalContext, 59, "wood"),
        (CocoStuff10K, 90, "toothbrush"),
        (CocoStuff10K, 149, "road"),
        (CocoStuff164K, 156, "sky-other"),
        (CocoStuff164K, 168, "tree"),
        (ADE20K, 1, "wall"),
        (ADE20K, 13, "person"),
        (ADE20K, 76, "swivel chair"),
        (ADE20K, 100, "buffet"),
        (ADE20K, 128, "bicycle"),
        (ADE20K, 150, "flag"),
    ):
        opened = source("anywhere")
        assert opened.class_names[opened.label_ids[raw]] == name


@pytest.mark.parametrize("source", [Cityscapes, PascalContext, CocoStuff10K, CocoStuff164K, ADE20K])
def test_every_class_is_meant_by_one_raw_id(source):
    table = source("anywhere").label_ids
    used = table[(table >= 0) & (table != 255)]
    assert sorted(used) == list(range(len(source.class_names)))


def test_both_editions_of_coco_stuff_mean_the_same_classes():
    ten, many = CocoStuff10K("a").label_ids, CocoStuff164K("b").label_ids
    np.testing.assert_array_equal(ten[1:183], many[:182])


def test_camvid_has_32_colours_and_its_own_ones_mean_themselves():
    assert len({colour for _, colour, _ in ORIGINAL_CLASSES}) == 32
    assert sum(colour in CAMVID_PALETTE for _, colour, name in ORIGINAL_CLASSES) == 10  # pavement's was repainted


def test_cityscapes_test_labels_are_refused(tmp_path):
    tree = LOOK_ALIKES["cityscapes"](tmp_path)
    config = DataConfig(name="cityscapes", root=str(tree.root), crop=(32, 32))
    source = open_source(config)
    assert "split 'test' are dummies" in error_of(lambda: require_labels(source, "test"))
    assert "choose train, val" in error_of(lambda: list(evaluation_batches(source, "test", 1)))
    for split in ("train", "val", "trainval"):
        require_labels(source, split)
    wrong = DataConfig(name="cityscapes", root=str(tree.root), train_split="test", crop=(32, 32))
    error_of(lambda: TrainBatches(source, wrong, batch_size=1, seed=0))


def test_cityscapes_goes_without_the_test_split_and_means_the_same(tmp_path):
    tree = LOOK_ALIKES["cityscapes"](tmp_path)
    with_test = Cityscapes(tree.root)
    digest = with_test.digest()
    for kind in ("gtFine", "leftImg8bit"):
        shutil.rmtree(tree.root / kind / "test")
        source = Cityscapes(tree.root)
        source.check_layout()
        assert source.splits == ("train", "val")
        assert source.digest() == digest


def test_layouts_of_camvid_are_recognised(tmp_path):
    for name, layout in (("camvid", "split_folders"), ("camvid_segnet", "segnet"), ("camvid_original", "original")):
        tree = LOOK_ALIKES[name](tmp_path / name)
        assert open_source(DataConfig(name="camvid", root=str(tree.root))).layout == layout


def test_the_original_camvid_asks_for_split_lists(tmp_path):
    tree = LOOK_ALIKES["camvid_original"](tmp_path)
    (tree.root / "val.txt").unlink()
    source = open_source(DataConfig(name="camvid", root=str(tree.root)))
    assert "val.txt: no such list; the original has no splits" in error_of(source.check_layout)


def test_a_split_list_is_content(tmp_path):
    tree = LOOK_ALIKES["coco_stuff_10k"](tmp_path)
    config = DataConfig(name="coco_stuff_10k", root=str(tree.root))
    digest = open_source(config).digest()
    lists = tree.root / "imageLists"
    train, test = (lists / f"{name}.txt" for name in ("train", "test"))
    before = train.read_text()
    train.write_text(test.read_text())
    test.write_text(before)
    assert open_source(config).digest() != digest


@pytest.mark.parametrize("name", ["camvid", "folder"])
def test_loader_threads_read_the_same_from_the_cache(name, tmp_path):
    """Also while one of them builds it."""
    tree = LOOK_ALIKES[name](tmp_path)
    config = DataConfig(name=name, root=str(tree.root), crop=(32, 32))
    alone, helped = (
        list(
            TrainBatches(open_source(config), config, batch_size=2, seed=0, loader=Loader(threads=count)).iterate(0, 3)
        )
        for count in (2, 0)
    )
    for left, right in zip(alone, helped, strict=True):
        assert left.image_B3HW.equal(right.image_B3HW)
        assert left.label_BHW.equal(right.label_BHW)


def test_planning_decodes_no_image_into_the_cache(tmp_path, monkeypatch):
    monkeypatch.setenv(CACHE_FOLDER, str(tmp_path / "cache"))
    tree = LOOK_ALIKES["camvid"](tmp_path / "set")
    source = open_source(DataConfig(name="camvid", root=str(tree.root)))
    for look in (source.check_layout, source.digest, source.signature):
        look()
    list(source.examine("train"))
    assert not (tmp_path / "cache").exists()
    source.read("val", 0)
    assert len(list((tmp_path / "cache").glob("*/*/pixels"))) == 1  # of the split that was read, no other
