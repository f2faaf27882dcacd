"""Batches of tensors: augmented crops for training, whole images for evaluation.

A training batch is a function of (data, seed, step), so a resumed trial gets the batches that it would have had
(docs/released_code.md, 12), with any number of loader processes, and a row with contrast gets those of its baseline
(docs/released_code.md, 11). Axes: B batch, H W image.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from multiprocessing import get_context
from multiprocessing.context import BaseContext
from random import Random
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from trainer.config import BaseSizeConfig, DataConfig
from trainer.data.loading.transforms import OWN_SIZE, augment_into, image_tensor, label_tensor
from trainer.data.source import Pair, Source, require_labels
from trainer.errors import TrainerError
from trainer.seeding import stream_seed

__all__ = ["Batch", "TrainBatches", "evaluation_batches"]


@dataclass(frozen=True, slots=True)
class Batch:
    """Images with their labels."""

    image_B3HW: Tensor
    """float32 RGB in 0..1."""
    label_BHW: Tensor
    """int64 class ids, `IGNORE_INDEX` for void."""
    first: int = 0
    """In evaluation, the place of the first image in its split."""


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
        loader_workers: int = 0,
        rank: int = 0,
        ranks: int = 1,
    ) -> None:
        require_labels(source, config.train_split)
        part = batch_size // ranks
        self.batches = StepBatches(source, config, seed, batch_size, range(rank * part, (rank + 1) * part))
        self.loader_workers = loader_workers

    def iterate(self, first_step: int, steps: int) -> Iterator[Batch]:
        """Batches `first_step` to `first_step + steps - 1` in order. Raises DataError of the data set's `read`."""
        order = range(first_step, first_step + steps)
        if self.loader_workers == 0:
            for step in order:
                yield unwrapped(self.batches[step])
            return
        loader: DataLoader[Any] = DataLoader(
            self.batches,
            batch_size=None,
            sampler=order,
            num_workers=min(self.loader_workers, max(1, steps)),
            multiprocessing_context=loader_context(),
            generator=torch.Generator(),  # otherwise the loader uses the global one, and workers change dropout
        )
        for batch in loader:
            yield unwrapped(batch)


def loader_context() -> BaseContext:
    """Loader processes are forked from a clean server process that has already imported torch.

    A plain fork would copy locks held by threads of Ray, MLflow and CUDA, and could hang.
    """
    context = get_context("forkserver")
    context.set_forkserver_preload([__name__])
    return context


@lru_cache(maxsize=4)
def epoch_order(seed: int, epoch: int, images: int) -> tuple[int, ...]:
    """The permutation of `range(images)` in which `epoch` visits the images."""
    random = Random(stream_seed(seed, "order", epoch))
    draws = [random.random() for _ in range(images)]
    return tuple(sorted(range(images), key=draws.__getitem__))


class StepBatches(Dataset[Batch | TrainerError]):
    """The `part` of each step's batch. Errors are items: an exception in a loader process loses its message."""

    def __init__(self, source: Source, config: DataConfig, seed: int, batch_size: int, part: range) -> None:
        self.source, self.config, self.seed, self.batch_size, self.part = source, config, seed, batch_size, part
        self.images = source.size(config.train_split)

    def __getitem__(self, step: int) -> Batch | TrainerError:
        try:
            return self.augmented([step * self.batch_size + place for place in self.part])
        except TrainerError as error:
            return error

    def augmented(self, numbers: Sequence[int]) -> Batch:
        """A batch of the samples with these numbers, in memory of numpy: its huge pages save a tenth of the time."""
        size = (len(numbers), *self.config.crop)
        image_B3HW = torch.from_numpy(np.empty((size[0], 3, *size[1:]), dtype=np.float32))
        label_BHW = torch.from_numpy(np.empty(size, dtype=np.int64))
        for image_3HW, label_HW, number in zip(image_B3HW, label_BHW, numbers, strict=True):
            epoch, place = divmod(number, self.images)
            pair = self.source.read(self.config.train_split, epoch_order(self.seed, epoch, self.images)[place])
            augment_into(image_3HW, label_HW, pair, self.config, stream_seed(self.seed, "augment", number))
        return Batch(image_B3HW, label_BHW)


def evaluation_batches(
    source: Source,
    split: str,
    batch_size: int,
    *,
    base_size: BaseSizeConfig = OWN_SIZE,
    rank: int = 0,
    ranks: int = 1,
) -> Iterator[Batch]:
    """All images of `split`, whole and in order; a batch has images of one size.

    Images are at `base_size`, labels at their own size.

    With several `ranks`, each rank gets every `ranks`-th batch, so batches are the same for any number of ranks.
    Raises DataError for a split with dummy labels.
    """
    require_labels(source, split)
    first = 0
    for number, pairs in enumerate(neighbours(source, split, batch_size)):
        if number % ranks == rank:
            yield whole(pairs, first, base_size)
        first += len(pairs)


def neighbours(source: Source, split: str, batch_size: int) -> Iterator[list[Pair]]:
    """Consecutive pairs of `split` of equal size, up to `batch_size` at a time."""
    waiting: list[Pair] = []
    for index in range(source.size(split)):
        pair = source.read(split, index)
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


def unwrapped(item: Batch | TrainerError) -> Batch:
    """The batch; raises an error that was returned instead."""
    if isinstance(item, TrainerError):
        raise item
    return item
