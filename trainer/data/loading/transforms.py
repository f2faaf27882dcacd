"""The CPU's renderer of training samples: crop, resize, mirror and colour jitter as a `SampleDraw` says.

Pixels are 8-bit until they are resized, then planar float32 that is changed in place in the batch, without a copy of
the crop (benchmarks/NOTES.md). Axes: H W source image, h w crop, i j the part of the crop with image.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import interpolate
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional as F

from trainer.config import BaseSizeConfig
from trainer.data.loading.batch import Batch
from trainer.data.loading.draws import ColourChange, SampleDraw
from trainer.data.source import IGNORE_INDEX, Pair, Pixels

__all__ = [
    "OWN_SIZE",
    "PAD_GREY",
    "FloatBatch",
    "at_base_size",
    "augment_into",
    "image_tensor",
    "nearest_source_pixels",
    "resize_label",
    "resized",
]

OWN_SIZE = BaseSizeConfig()
"""No base size: images keep their own size."""

PAD_GREY = 0.45
"""Grey of image padding, 0..1; close to the mean that backbones subtract, so padding is about zero after it."""


class FloatBatch:
    """A batch on the CPU, in memory of numpy: its huge pages save a tenth of the time."""

    def __init__(self, images: int, crop: tuple[int, int]) -> None:
        self.image_B3hw = torch.from_numpy(np.empty((images, 3, *crop), dtype=np.float32))
        self.label_Bhw = torch.from_numpy(np.empty((images, *crop), dtype=np.int64))

    def fill(self, turn: int, pair: Pair, draw: SampleDraw) -> None:
        """Put the sample `draw` of `pair` in place `turn`."""
        augment_into(self.image_B3hw[turn], self.label_Bhw[turn], pair, draw)

    def finish(self) -> Batch:
        """The batch."""
        return Batch(self.image_B3hw, self.label_Bhw)


def augment_into(image_3hw: Tensor, label_hw: Tensor, pair: Pair, draw: SampleDraw) -> None:
    """Fill `image_3hw` (float32) and `label_hw` (int64) with the sample `draw` of `pair`."""
    image_3ij, label_ij = resized(pair, draw)
    image_3ij = image_3ij.contiguous()
    if draw.flip:
        image_3ij, label_ij = image_3ij.flip(-1), label_ij.flip(-1)
    place = (..., *draw.place)
    jitter(image_3hw[place].copy_(image_3ij).mul_(1 / 255), draw)
    label_hw[place] = label_ij
    for crop, grey in ((image_3hw, PAD_GREY), (label_hw, IGNORE_INDEX)):
        pad(crop, draw, grey)


def resized(pair: Pair, draw: SampleDraw) -> tuple[Tensor, Tensor]:
    """`image_3ij`, channels-last, and `label_ij` at their size in the crop, both uint8 and not mirrored.

    The source is cropped before it is resized, so the cost depends on the crop, not on the scaled image. The image is
    resized bilinearly with antialiasing, the label by nearest neighbour with the same pixel centres.
    """
    image_HW3, label_HW = pair
    part = (draw.rows.source, draw.columns.source)
    size = (draw.rows.inside, draw.columns.inside)
    return resize_image(channels_first(image_HW3[part]), size), resize_label(label_HW[part], *size)


def pad(crop_hw: Tensor, draw: SampleDraw, fill: float) -> None:
    """Fill the padding of (..., h, w)."""
    rows, columns = draw.place
    crop_hw[..., : rows.start, :] = fill
    crop_hw[..., rows.stop :, :] = fill
    crop_hw[..., rows, : columns.start] = fill
    crop_hw[..., rows, columns.stop :] = fill


def image_tensor(image_HW3: Pixels, base_size: BaseSizeConfig = OWN_SIZE) -> Tensor:
    """A whole 8-bit RGB image at `base_size` as `image_3hw`, float32 in 0..1."""
    image_3hw: Tensor = F.to_dtype(at_base_size(image_HW3, base_size), torch.float32, scale=True)
    return image_3hw.contiguous()


def at_base_size(image_HW3: Pixels, base_size: BaseSizeConfig) -> Tensor:
    """A whole 8-bit image at `base_size`, channels-last `image_3hw`; resized like a training crop."""
    image_3hw = channels_first(image_HW3)
    own_size = image_HW3.shape[:2]
    size = base_size.resized(*own_size)
    return image_3hw if size == own_size else resize_image(image_3hw, size)


def resize_image(image_3ij: Tensor, size: Sequence[int]) -> Tensor:
    """8-bit `image_3ij` resized to `size` = (height, width), bilinear with antialiasing."""
    resized_3ij: Tensor = F.resize_image(image_3ij, list(size), InterpolationMode.BILINEAR, antialias=True)
    return resized_3ij


def resize_label(label_HW: Pixels, height: int, width: int) -> Tensor:
    """`label_HW` by nearest neighbour, (height, width) uint8.

    torchvision resizes a Mask with the older rule "nearest", which uses pixel corners instead of centres and so shifts
    labels by up to half a pixel against the image. That matters for thin classes.
    """
    rows_i, columns_j = (
        nearest_source_pixels(label_HW.shape[0], height),
        nearest_source_pixels(label_HW.shape[1], width),
    )
    first, second = (rows_i, 0), (columns_j, 1)
    if height > label_HW.shape[0]:  # indexing columns is slower than rows, so do it while there are few rows
        first, second = second, first
    return torch.from_numpy(label_HW.take(*first, mode="clip").take(*second, mode="clip"))  # "raise" checks each


def nearest_source_pixels(side: int, resized: int) -> NDArray[np.int64]:
    """Source pixel of each of `resized` pixels along a side of `side` pixels, by torch's rule."""
    place_11H = torch.arange(side, dtype=torch.float32)[None, None]
    place_i: NDArray[np.int64] = (
        interpolate(place_11H, size=resized, mode="nearest-exact")[0, 0].to(torch.int64).numpy()
    )
    return place_i


def jitter(image_3ij: Tensor, draw: SampleDraw) -> None:
    """Change the colours in place. The operations are those of torchvision, except for the mean of the contrast."""
    for change, factor in draw.changes:
        change_colours(image_3ij, change, factor, flipped=draw.flip)


def change_colours(image_3ij: Tensor, change: ColourChange, factor: float, *, flipped: bool = False) -> None:
    """Make one change in place."""
    if change == "brightness":
        adjust_brightness(image_3ij, factor)
    elif change == "contrast":
        adjust_contrast(image_3ij, factor, flipped=flipped)
    else:
        adjust_saturation(image_3ij, factor)


def adjust_brightness(image_3ij: Tensor, factor: float) -> None:
    """Multiply by `factor`."""
    image_3ij.mul_(factor)
    if factor > 1:
        image_3ij.clamp_(max=1)


def adjust_contrast(image_3ij: Tensor, factor: float, *, flipped: bool = False) -> None:
    """Scale the distance from the mean grey by `factor`.

    The mean is computed by numpy, because the rounding of torch's mean depends on the number of threads. It is that of
    the unflipped image, because rounding depends on the order of the pixels as well.
    """
    grey_ij = grey_of(image_3ij)
    mean = float((grey_ij.flip(-1) if flipped else grey_ij).numpy().mean(dtype=np.float64))
    image_3ij.mul_(factor).add_((1 - factor) * mean).clamp_(0, 1)


def adjust_saturation(image_3ij: Tensor, factor: float) -> None:
    """Scale the distance from the grey of each pixel by `factor`."""
    grey_ij = grey_of(image_3ij)
    image_3ij.mul_(factor).add_(grey_ij, alpha=1 - factor).clamp_(0, 1)


def grey_of(image_3ij: Tensor) -> Tensor:
    """The luma of ITU-R 601-2, as in torchvision, of an image or a batch."""
    red_ij, green_ij, blue_ij = image_3ij.unbind(-3)
    return red_ij.mul(0.2989).add_(green_ij, alpha=0.587).add_(blue_ij, alpha=0.114)


def channels_first(image_HW3: Pixels) -> Tensor:
    """A (3, H, W) view of a copy of the image; memory stays channels-last, which torchvision resizes fastest."""
    return torch.from_numpy(image_HW3.copy()).permute(2, 0, 1)
