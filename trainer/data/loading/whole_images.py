"""Batches of whole images for evaluation.   Axes: B batch, H W image and label, h w image at the base size."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from functools import partial
from itertools import islice
from typing import NamedTuple

import torch

from trainer.config import BaseSizeConfig
from trainer.data.loading.batch import Batch
from trainer.data.loading.loader import AHEAD, CPU, IN_TRAINING_THREAD, Loader
from trainer.data.loading.read_ahead import read_ahead
from trainer.data.loading.transforms import OWN_SIZE, at_base_size
from trainer.data.loading.upload import host_memory, upload
from trainer.data.source import Pair, Source, require_labels

__all__ = ["evaluation_batches"]


def evaluation_batches(
    source: Source,
    split: str,
    batch_size: int,
    *,
    base_size: BaseSizeConfig = OWN_SIZE,
    device: torch.device = CPU,
    loader: Loader = IN_TRAINING_THREAD,
    rank: int = 0,
    ranks: int = 1,
) -> Generator[Batch, None, None]:
    """All images of `split` on the device, whole and in order; a batch has images of one size.

    Images are at `base_size`, labels at their own size.

    With several `ranks`, each rank gets every `ranks`-th batch, so batches are the same for any number of ranks. The
    loader's threads end with the iterator. Raises DataError for a split with dummy labels.
    """
    require_labels(source, split)
    read, numbers = partial(source.read, split), range(source.size(split))
    with closing(read_ahead(read, numbers, threads=loader.threads, ahead=AHEAD * batch_size)) as pairs:
        groups = islice(groups_of_one_size(pairs, batch_size), rank, None, ranks)
        with closing(
            read_ahead(partial(WholeImages, device, base_size), groups, threads=loader.threads, ahead=1)
        ) as batches:
            for batch in batches:
                yield batch.finish()


class WholeImages:
    """A batch of whole images on the host, 8-bit."""

    def __init__(self, device: torch.device, base_size: BaseSizeConfig, group: Group) -> None:
        images, (height, width) = len(group.pairs), group.pairs[0][1].shape
        self.device, self.first = device, group.first
        self.image_Bhw3 = host_memory((images, *base_size.resized(height, width), 3), torch.uint8, device)
        self.label_BHW = host_memory((images, height, width), torch.uint8, device)
        for turn, (image_HW3, label_HW) in enumerate(group.pairs):
            self.image_Bhw3[turn] = at_base_size(image_HW3, base_size).permute(1, 2, 0)
            self.label_BHW[turn].numpy()[...] = label_HW

    def finish(self) -> Batch:
        """The batch on its device."""
        image_Bhw3, label_BHW = upload(self.device, self.image_Bhw3, self.label_BHW)
        image_B3hw = image_Bhw3.permute(0, 3, 1, 2).to(torch.float32, memory_format=torch.contiguous_format)
        return Batch(image_B3hw.mul_(1 / 255), label_BHW.to(torch.int64), self.first)


class Group(NamedTuple):
    """Consecutive pairs of a split, of equal size."""

    first: int
    """Number of the first one in the split."""
    pairs: list[Pair]


def groups_of_one_size(pairs: Iterable[Pair], batch_size: int) -> Iterator[Group]:
    """Consecutive pairs of equal size, up to `batch_size` at a time."""
    group = Group(0, [])
    for number, pair in enumerate(pairs):
        if group.pairs and (len(group.pairs) == batch_size or group.pairs[0][1].shape != pair[1].shape):
            yield group
            group = Group(number, [])
        group.pairs.append(pair)
    if group.pairs:
        yield group
