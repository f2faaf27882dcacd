"""Batches of augmented crops for training.

A training batch is a function of (data, seed, step), so a resumed trial gets the batches that it would have had
(docs/released_code.md, 12), with any number of loader threads, and a row with contrast gets those of its baseline
(docs/released_code.md, 11).
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from functools import lru_cache
from random import Random
from typing import NamedTuple

import torch

from trainer.config import DataConfig
from trainer.data.loading.batch import Batch
from trainer.data.loading.device import PixelBatch
from trainer.data.loading.draws import SampleDraw, draw_sample
from trainer.data.loading.loader import AHEAD, CPU, IN_TRAINING_THREAD, Loader
from trainer.data.loading.read_ahead import read_ahead
from trainer.data.loading.resident import ResidentSplit
from trainer.data.loading.transforms import FloatBatch
from trainer.data.loading.whole_images import evaluation_batches
from trainer.data.source import Source, require_labels
from trainer.seeding import stream_seed

__all__ = ["Batch", "TrainBatches", "evaluation_batches"]


class Sample(NamedTuple):
    """A training image, by its number in the split, and the seed of its augmentation."""

    image: int
    seed: int


class Place(NamedTuple):
    """Place number `turn` of a batch, to be filled with `sample`."""

    batch: FloatBatch | PixelBatch
    turn: int
    sample: Sample


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
        device: torch.device = CPU,
        loader: Loader = IN_TRAINING_THREAD,
        rank: int = 0,
        ranks: int = 1,
    ) -> None:
        require_labels(source, config.train_split)
        self.source, self.config, self.seed = source, config, seed
        self.device, self.loader = device, loader
        self.images = source.size(config.train_split)
        self.batch_size = batch_size
        self.part = batch_size // ranks
        self.first_of_part = rank * self.part

    def iterate(self, first_step: int, steps: int) -> Generator[Batch, None, None]:
        """Batches `first_step` to `first_step + steps - 1` in order, on the device.

        The threads end with the iterator, so close it if it is left early. Raises DataError of the data set's `read`.
        """
        order = range(first_step, first_step + steps)
        if self.loader.resident:
            yield from self.from_device(order)
            return
        filled = read_ahead(self.fill, self.places(order), threads=self.loader.threads, ahead=AHEAD * self.part)
        with closing(filled):
            for _ in order:
                batch, *_ = [next(filled) for _ in range(self.part)]
                yield batch.finish()

    def from_device(self, order: Iterable[int]) -> Iterator[Batch]:
        """The batches of the steps `order`, made by the device from the training split in its memory."""
        split, crop = self.config.train_split, self.config.crop
        resident = ResidentSplit(self.source, split, self.device, threads=self.loader.threads)
        for step in order:
            samples = list(self.samples(step))
            draws = [self.draw(*resident.size(sample.image), sample) for sample in samples]
            yield resident.batch([sample.image for sample in samples], draws, crop)

    def samples(self, step: int) -> Iterator[Sample]:
        """The samples of this rank's part of a batch."""
        first = step * self.batch_size + self.first_of_part
        for number in range(first, first + self.part):
            epoch, visit = divmod(number, self.images)
            yield Sample(epoch_order(self.seed, epoch, self.images)[visit], stream_seed(self.seed, "augment", number))

    def draw(self, height: int, width: int, sample: Sample) -> SampleDraw:
        """What is drawn for a sample of an image of this size."""
        return draw_sample(height, width, self.config, sample.seed)

    def places(self, order: Iterable[int]) -> Iterator[Place]:
        """The places to fill of the batches of the steps `order`."""
        for step in order:
            batch = self.empty()
            for turn, sample in enumerate(self.samples(step)):
                yield Place(batch, turn, sample)

    def fill(self, place: Place) -> FloatBatch | PixelBatch:
        """Fill a place of a batch, and return the batch."""
        pair = self.source.read(self.config.train_split, place.sample.image)
        height, width = pair[1].shape
        place.batch.fill(place.turn, pair, self.draw(height, width, place.sample))
        return place.batch

    def empty(self) -> FloatBatch | PixelBatch:
        """A batch to be filled."""
        if self.device.type == "cpu":
            return FloatBatch(self.part, self.config.crop)
        return PixelBatch(self.part, self.config.crop, self.device)


@lru_cache(maxsize=4)
def epoch_order(seed: int, epoch: int, images: int) -> tuple[int, ...]:
    """The permutation of `range(images)` in which `epoch` visits the images."""
    random = Random(stream_seed(seed, "order", epoch))
    draws = [random.random() for _ in range(images)]
    return tuple(sorted(range(images), key=draws.__getitem__))
