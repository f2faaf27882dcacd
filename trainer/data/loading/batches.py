"""Batches of tensors: augmented crops for training, whole images for evaluation.

A training batch is a function of (data, seed, step), so a resumed trial gets the batches that it would have had
(docs/released_code.md, 12), with any number of loader threads, and a row with contrast gets those of its baseline
(docs/released_code.md, 11). Axes: B batch, H W image.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import lru_cache, partial
from random import Random
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from trainer.config import BaseSizeConfig, DataConfig
from trainer.data.loading.draws import draw_sample
from trainer.data.loading.loader import IN_TRAINING_THREAD, Loader
from trainer.data.loading.read_ahead import read_ahead
from trainer.data.loading.transforms import OWN_SIZE, augment_into, image_tensor, label_tensor
from trainer.data.source import Pair, Source, require_labels
from trainer.seeding import stream_seed

__all__ = ["AHEAD", "Batch", "TrainBatches", "evaluation_batches"]

AHEAD = 2
"""Batches that loader threads begin before they are needed. Host memory holds them, the batch that is used, and the one
that is begun next."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Images with their labels."""

    image_B3HW: Tensor
    """float32 RGB in 0..1."""
    label_BHW: Tensor
    """int64 class ids, `IGNORE_INDEX` for void."""
    first: int = 0
    """In evaluation, the place of the first image in its split."""


class Place(NamedTuple):
    """Place `turn` of a batch, for training image `image`, augmented with `seed`."""

    batch: Batch
    turn: int
    image: int
    seed: int


class TrainBatches:
    """The endless sequence of augmented training batches of a trial.

    Sample n = step * batch_size + i belongs to epoch n // N for N images. Each epoch is a permutation from its own
    random stream, and each sample is augmented with the stream of n. A batch can span two epochs.

    With several `ranks`, which must divide `batch_size`, each rank gets its part of every batch; parts are consecutive.
    """

    def __init__(
        self,
        source: Source,
        config: DataConfig,
        *,
        batch_size: int,
        seed: int,
        loader: Loader = IN_TRAINING_THREAD,
        rank: int = 0,
        ranks: int = 1,
    ) -> None:
        require_labels(source, config.train_split)
        self.source, self.config, self.seed = source, config, seed
        self.loader = loader
        self.images = source.size(config.train_split)
        self.batch_size = batch_size
        self.part = batch_size // ranks
        self.first_of_part = rank * self.part

    def iterate(self, first_step: int, steps: int) -> Generator[Batch, None, None]:
        """Batches `first_step` to `first_step + steps - 1` in order. Raises DataError of the data set's `read`.

        The threads end with the iterator, so close it if it is left early.
        """
        order = range(first_step, first_step + steps)
        filled = read_ahead(self.fill, self.places(order), threads=self.loader.threads, ahead=AHEAD * self.part)
        with closing(filled):
            for _ in order:
                batch, *_ = [next(filled) for _ in range(self.part)]
                yield batch

    def places(self, order: Iterable[int]) -> Iterator[Place]:
        """The places to fill of the batches of the steps `order`."""
        for step in order:
            batch = self.empty()
            first = step * self.batch_size + self.first_of_part
            for turn, number in enumerate(range(first, first + self.part)):
                epoch, visit = divmod(number, self.images)
                image = epoch_order(self.seed, epoch, self.images)[visit]
                yield Place(batch, turn, image, stream_seed(self.seed, "augment", number))

    def fill(self, place: Place) -> Batch:
        """Fill a place of a batch, and return the batch."""
        pair = self.source.read(self.config.train_split, place.image)
        height, width = pair[1].shape
        draw = draw_sample(height, width, self.config, place.seed)
        augment_into(place.batch.image_B3HW[place.turn], place.batch.label_BHW[place.turn], pair, draw)
        return place.batch

    def empty(self) -> Batch:
        """A batch to be filled, in memory of numpy: its huge pages save a tenth of the time."""
        height, width = self.config.crop
        image_B3HW = torch.from_numpy(np.empty((self.part, 3, height, width), dtype=np.float32))
        return Batch(image_B3HW, torch.from_numpy(np.empty((self.part, height, width), dtype=np.int64)))


@lru_cache(maxsize=4)
def epoch_order(seed: int, epoch: int, images: int) -> tuple[int, ...]:
    """The permutation of `range(images)` in which `epoch` visits the images."""
    random = Random(stream_seed(seed, "order", epoch))
    draws = [random.random() for _ in range(images)]
    return tuple(sorted(range(images), key=draws.__getitem__))


def evaluation_batches(
    source: Source,
    split: str,
    batch_size: int,
    *,
    base_size: BaseSizeConfig = OWN_SIZE,
    loader: Loader = IN_TRAINING_THREAD,
    rank: int = 0,
    ranks: int = 1,
) -> Generator[Batch, None, None]:
    """All images of `split`, whole and in order; a batch has images of one size.

    Images are at `base_size`, labels at their own size.

    With several `ranks`, each rank gets every `ranks`-th batch, so batches are the same for any number of ranks.
    Raises DataError for a split with dummy labels.
    """
    require_labels(source, split)
    first = 0
    read, numbers = partial(source.read, split), range(source.size(split))
    with closing(read_ahead(read, numbers, threads=loader.threads, ahead=AHEAD * batch_size)) as pairs:
        for number, group in enumerate(neighbours(pairs, batch_size)):
            if number % ranks == rank:
                yield whole(group, first, base_size)
            first += len(group)


def neighbours(pairs: Iterable[Pair], batch_size: int) -> Iterator[list[Pair]]:
    """Consecutive pairs of equal size, up to `batch_size` at a time."""
    waiting: list[Pair] = []
    for pair in pairs:
        if waiting and (len(waiting) == batch_size or waiting[0][1].shape != pair[1].shape):
            yield waiting
            waiting = []
        waiting.append(pair)
    if waiting:
        yield waiting


def whole(pairs: Sequence[Pair], first: int, base_size: BaseSizeConfig) -> Batch:
    """A batch of whole images of equal size, the first of which is number `first` of its split."""
    images = torch.stack([image_tensor(image_HW3, base_size) for image_HW3, _ in pairs])
    return Batch(images, torch.stack([label_tensor(label_HW) for _, label_HW in pairs]), first)
