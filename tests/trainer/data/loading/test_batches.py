"""Batches depend on (data, seed, step) only, not on resuming, loader threads or contrast."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace

import numpy as np
import pytest
import torch

from trainer.config import BaseSizeConfig, ContrastConfig, DataConfig, SyntheticConfig, TrainConfig
from trainer.data import open_source
from trainer.data.loading.batches import Batch, TrainBatches, evaluation_batches
from trainer.data.loading.loader import AHEAD, Loader
from trainer.errors import DataError

CONFIG = DataConfig(crop=(32, 48), synthetic=SyntheticConfig(train_images=7, val_images=5, height=48, width=64))
PLAIN = replace(CONFIG, crop=(48, 64), scale=(1.0, 1.0), flip_probability=0.0, color_jitter=0.0)
PLAIN_32 = replace(PLAIN, crop=(32, 32))


class Coloured:
    """Image i of `train` is plainly grey i, its label i; sizes per split as given."""

    class_names = tuple("abcdefgh")
    palette = tuple((i, i, i) for i in range(8))
    unlabelled = frozenset()

    def __init__(self, sizes=((32, 32),) * 7, broken=None):
        self.sizes, self.broken = sizes, broken

    def size(self, split):
        return len(self.sizes)

    def read(self, split, index):
        if index == self.broken:
            raise DataError("train/labels/x.png: label id 99; map the ids")
        shape = self.sizes[index]
        return np.full((*shape, 3), index, np.uint8), np.full(shape, index, np.uint8)


def batches(config=CONFIG, seed=0, batch_size=4, threads=0, source=None, **place):
    source = source or open_source(config)
    return TrainBatches(source, config, batch_size=batch_size, seed=seed, loader=Loader(threads=threads), **place)


def equal(left: list[Batch], right: list[Batch]) -> bool:
    return len(left) == len(right) and all(
        torch.equal(a.image_B3HW, b.image_B3HW) and torch.equal(a.label_BHW, b.label_BHW)
        for a, b in zip(left, right, strict=True)
    )


def test_shapes_and_types():
    (batch,) = batches().iterate(0, 1)
    assert (batch.image_B3HW.shape, batch.image_B3HW.dtype) == ((4, 3, 32, 48), torch.float32)
    assert (batch.label_BHW.shape, batch.label_BHW.dtype) == ((4, 32, 48), torch.int64)


@pytest.mark.parametrize("step", [1, 3, 6])
def test_resume_at_any_step_gives_equal_batches(step):
    whole = list(batches().iterate(0, 8))
    assert equal(whole[step:], list(batches().iterate(step, 8 - step)))


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_loader_threads_change_nothing(threads):
    torch.manual_seed(3)
    alone = list(batches().iterate(1, 5))
    untouched, cores = torch.rand(1), torch.get_num_threads()
    torch.manual_seed(3)
    helped = list(batches(threads=threads).iterate(1, 5))
    assert torch.equal(torch.rand(1), untouched)
    assert torch.get_num_threads() == cores
    assert equal(alone, helped)


@pytest.mark.parametrize(("ranks", "threads"), [(2, 0), (4, 0), (2, 1)])
def test_the_parts_of_the_ranks_are_the_batch(ranks, threads):
    parts = [batches(rank=rank, ranks=ranks, threads=threads).iterate(2, 3) for rank in range(ranks)]
    for whole, *split in zip(batches().iterate(2, 3), *parts, strict=True):
        assert {len(part.label_BHW) for part in split} == {4 // ranks}
        assert torch.equal(torch.cat([part.image_B3HW for part in split]), whole.image_B3HW)
        assert torch.equal(torch.cat([part.label_BHW for part in split]), whole.label_BHW)


@pytest.mark.parametrize("threads", [0, 1, 3])
def test_an_error_comes_at_the_step_that_needs_the_image(threads):
    """Not earlier, although the threads meet it earlier: the steps before are taken and logged."""
    source = Coloured(broken=5)
    order = [
        place for batch in batches(PLAIN_32, source=Coloured()).iterate(0, 3) for place in batch.label_BHW[:, 0, 0]
    ]
    needed_at = order.index(5) // 4
    sequence = batches(PLAIN_32, source=source, threads=threads).iterate(0, 3)
    for _ in range(needed_at):
        next(sequence)
    with pytest.raises(DataError) as caught:
        next(sequence)
    assert str(caught.value) == "train/labels/x.png: label id 99; map the ids"
    assert loader_threads() == []


def loader_threads():
    return [thread for thread in threading.enumerate() if thread.name.startswith("loader")]


def test_the_threads_end_with_the_iterator():
    sequence = batches(threads=3).iterate(0, 50)
    first = [next(sequence)]
    assert len(loader_threads()) == 3
    sequence.close()
    assert loader_threads() == []
    assert equal(first, list(batches().iterate(0, 1)))
    list(batches(threads=2).iterate(0, 2))
    assert loader_threads() == []


@pytest.mark.parametrize("raised", [ValueError, KeyboardInterrupt])
def test_the_threads_end_when_the_step_raises(raised):
    def train():
        with closing(batches(threads=2).iterate(0, 50)) as ready:
            for _ in ready:
                raise raised

    with pytest.raises(raised):
        train()
    assert loader_threads() == []


def test_only_the_next_batches_are_made_ahead():
    """Else a fast loader fills the memory."""
    read = []

    class Counted(Coloured):
        def read(self, split, index):
            read.append(index)
            return super().read(split, index)

    with closing(batches(PLAIN_32, source=Counted(), threads=2).iterate(0, 50)) as ready:
        next(ready)
        most = 4 * (1 + AHEAD) + 1
        deadline = time.monotonic() + 10
        while len(read) < 4 * (1 + AHEAD) and time.monotonic() < deadline:
            time.sleep(0.001)
        time.sleep(0.05)  # what is begun without need shows
        assert 4 * (1 + AHEAD) <= len(read) <= most
    assert len(read) <= most


def test_operators_in_loader_threads_use_one_core_each():
    """Else each of them starts as many threads as the trial has CPUs."""
    seen = []

    class Seen(Coloured):
        def read(self, split, index):
            seen.append(torch.get_num_threads())
            return super().read(split, index)

    cores = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        list(batches(PLAIN_32, source=Seen(), threads=2).iterate(0, 2))
        assert torch.get_num_threads() == 2
        with ThreadPoolExecutor(1) as later:
            assert later.submit(torch.get_num_threads).result() == 2
    finally:
        torch.set_num_threads(cores)
    assert set(seen) == {1}


@pytest.mark.parametrize("batch_size", [2, 3, 7, 10])
def test_every_epoch_visits_every_image_once(batch_size):
    """Also where batches straddle epochs."""
    config = replace(PLAIN, crop=(32, 32))
    seen = torch.cat([b.label_BHW[:, 0, 0] for b in batches(config, 5, batch_size, source=Coloured()).iterate(0, 21)])
    epochs = [tuple(seen[start : start + 7].tolist()) for start in range(0, 7 * (len(seen) // 7), 7)]
    assert all(sorted(epoch) == list(range(7)) for epoch in epochs)
    assert len(set(epochs)) > 1


def test_order_does_not_depend_on_the_batch_size():
    config = replace(PLAIN, crop=(32, 32))
    orders = [
        torch.cat([b.label_BHW[:, 0, 0] for b in batches(config, 1, size, source=Coloured()).iterate(0, 12 // size)])
        for size in (2, 4)
    ]
    assert torch.equal(orders[0], orders[1])


def test_augmentation_differs_between_samples_and_epochs():
    """One image only: each sample is the same picture, augmented otherwise."""
    config = replace(CONFIG, synthetic=replace(CONFIG.synthetic, train_images=1))
    images = [image for batch in batches(config).iterate(0, 4) for image in batch.image_B3HW]
    assert len({image.numpy().tobytes() for image in images}) == 16


def test_seeds_give_other_orders_and_augmentations():
    assert not equal(list(batches(seed=0).iterate(0, 2)), list(batches(seed=1).iterate(0, 2)))


def test_defect_11_contrast_moves_no_pixel():
    """A baseline and a row with contrast read from configs that differ in contrast only: equal batches, bit by bit."""
    rows = [TrainConfig(data=CONFIG, contrast=ContrastConfig(source=source)) for source in ("none", "inter_image")]
    torch.manual_seed(0)
    first = list(batches(rows[0].data, rows[0].seed).iterate(0, 3))
    torch.rand(100)  # what a row draws for its anchors
    assert equal(first, list(batches(rows[1].data, rows[1].seed).iterate(0, 3)))


def test_train_split_is_the_configured_one():
    config = replace(PLAIN, train_split="val")
    source = open_source(config)
    (batch,) = batches(config, batch_size=5).iterate(0, 1)
    wanted = {source.read("val", index)[1].astype(np.int64).tobytes() for index in range(5)}
    assert {label.numpy().tobytes() for label in batch.label_BHW} == wanted


@pytest.mark.parametrize("ranks", [1, 2, 3, 7])
def test_ranks_evaluate_the_very_batches_of_one_process(ranks):
    source = Coloured(sizes=((32, 32),) * 3 + ((32, 48),) * 2 + ((32, 32),) * 2)
    parts = [list(evaluation_batches(source, "val", 2, rank=rank, ranks=ranks)) for rank in range(ranks)]
    dealt = [part[turn] for turn in range(len(parts[0])) for part in parts if turn < len(part)]
    assert equal(dealt, list(evaluation_batches(source, "val", 2)))


@pytest.mark.parametrize("threads", [0, 2])
def test_evaluation_shows_every_image_whole_and_in_order(threads):
    source = open_source(CONFIG)
    found = list(evaluation_batches(source, "val", 2, loader=Loader(threads=threads)))
    assert loader_threads() == []
    assert [len(batch.label_BHW) for batch in found] == [2, 2, 1]
    image_N3HW = torch.cat([batch.image_B3HW for batch in found])
    label_NHW = torch.cat([batch.label_BHW for batch in found])
    for index in range(5):
        image_HW3, label_HW = source.read("val", index)
        assert torch.equal((image_N3HW[index] * 255).round().permute(1, 2, 0), torch.tensor(image_HW3).float())
        assert torch.equal(label_NHW[index], torch.tensor(label_HW).long())
    assert image_N3HW.dtype == torch.float32
    assert label_NHW.dtype == torch.int64


def test_evaluation_batches_images_of_unequal_size_apart():
    source = Coloured(sizes=((32, 32), (32, 32), (40, 32), (32, 32)))
    shapes = [tuple(batch.label_BHW.shape) for batch in evaluation_batches(source, "test", 8)]
    assert shapes == [(2, 32, 32), (1, 40, 32), (1, 32, 32)]


def test_evaluation_batches_have_images_at_base_size_and_labels_at_their_own():
    """Batched by the size of the files: images that only become equal stay apart, like their labels."""
    source = Coloured(sizes=((32, 40), (32, 40), (40, 32), (64, 80)))
    found = list(evaluation_batches(source, "test", 8, base_size=BaseSizeConfig(long=60)))
    assert [tuple(batch.image_B3HW.shape) for batch in found] == [(2, 3, 48, 60), (1, 3, 60, 48), (1, 3, 48, 60)]
    assert [tuple(batch.label_BHW.shape) for batch in found] == [(2, 32, 40), (1, 40, 32), (1, 64, 80)]
    assert [batch.first for batch in found] == [0, 2, 3]
    torch.testing.assert_close(found[2].image_B3HW, torch.full((1, 3, 48, 60), 3 / 255))
