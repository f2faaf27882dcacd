"""A small training split in the memory of the GPU, which crops, resizes and augments it: no loader is needed.

Images are resized in float32 instead of 8 bits, so they differ from those of the other renderers by rounding. Labels
are equal. Axes: B batch, H W source image, h w crop, i j the part of the crop with image.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import closing
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import interpolate

from trainer.data.loading.batch import Batch
from trainer.data.loading.device import draw_table, render
from trainer.data.loading.draws import SampleDraw, Span
from trainer.data.loading.read_ahead import read_ahead
from trainer.data.loading.transforms import nearest_source_pixels
from trainer.data.loading.upload import host_memory, upload
from trainer.data.source import Source

__all__ = ["ResidentSplit"]


class ResidentSplit:
    """The 8-bit pixels and labels of a split on a device."""

    def __init__(self, source: Source, split: str, device: torch.device, *, threads: int = 0) -> None:
        """Reads the split with `threads`. Raises DataError of the data set's `read`."""
        self.device = device
        self.image_HW3: list[Tensor] = []
        self.label_HW: list[Tensor] = []
        numbers = range(source.size(split))
        with closing(read_ahead(partial(source.read, split), numbers, threads=threads, ahead=2 * threads)) as pairs:
            for pair in pairs:
                image_HW3, label_HW = (torch.from_numpy(pixels.copy()).to(device) for pixels in pair)
                self.image_HW3.append(image_HW3)
                self.label_HW.append(label_HW)

    def size(self, image: int) -> tuple[int, int]:
        """Height and width of an image."""
        height, width = self.label_HW[image].shape
        return height, width

    def batch(self, images: Sequence[int], draws: Sequence[SampleDraw], crop: tuple[int, int]) -> Batch:
        """The samples `draws` of the images with these numbers."""
        table_BK, source_BR = draw_table(draws, self.device), source_pixels(draws, crop, self.device)
        table_BK, source_BR = upload(self.device, table_BK, source_BR)
        image_B3hw = torch.zeros(len(images), *crop, 3, device=self.device).permute(0, 3, 1, 2)
        labels = []
        for turn, (image, draw) in enumerate(zip(images, draws, strict=True)):
            image_B3hw[(turn, ..., draw.rows.place, draw.columns.place)] = self.resized(image, draw)
            row_h, column_w = source_BR[turn, : crop[0]], source_BR[turn, crop[0] :]
            labels.append(self.label_HW[image][row_h[:, None], column_w])
        return render(image_B3hw, torch.stack(labels), table_BK)

    def resized(self, image: int, draw: SampleDraw) -> Tensor:
        """The part of the image at its size in the crop, float32 0..255 (3, i, j), bilinear with antialiasing."""
        part_ij3 = self.image_HW3[image][draw.rows.source, draw.columns.source]
        part_13ij = part_ij3.permute(2, 0, 1)[None].to(torch.float32)
        size = [draw.rows.inside, draw.columns.inside]
        if list(part_13ij.shape[-2:]) != size:
            part_13ij = interpolate(part_13ij, size=size, mode="bilinear", antialias=True)
        return part_13ij[0]


def source_pixels(draws: Iterable[SampleDraw], crop: tuple[int, int], device: torch.device) -> Tensor:
    """The source row of each row of the crop and the source column of each column, int64 (B, h + w) on the host.

    The crop is not mirrored; its padding has any legal row and column.
    """
    rows = [
        np.concatenate([span_pixels(span, side) for span, side in zip((draw.rows, draw.columns), crop, strict=True)])
        for draw in draws
    ]
    return host_memory((len(rows), sum(crop)), torch.int64, device).copy_(torch.from_numpy(np.stack(rows)))


def span_pixels(span: Span, side: int) -> NDArray[np.int64]:
    """The source pixel of each of the `side` pixels of a crop along one axis."""
    place = np.full(side, span.first, dtype=np.int64)
    place[span.place] += nearest_source_pixels(span.length, span.inside)
    return place
