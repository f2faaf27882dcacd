"""Training augmentation: random scale, crop, flip and colour jitter, all drawn from one explicit seed.

Nothing here reads or moves a global random state, so a sample's augmentation is the same in every process.
Axes: H W source image, h w crop.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from random import Random

import numpy as np
import torch
from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional as F

from trainer.config import DataConfig
from trainer.data.base import IGNORE_INDEX, Pair, Pixels

__all__ = ["PAD_GREY", "augment", "image_tensor", "label_tensor"]

PAD_GREY = 0.45
"""Grey of image padding, 0..1: near the mean that every backbone subtracts, so padding enters it as about zero."""


@dataclass(frozen=True, slots=True)
class Span:
    """What one side of a crop shows: `length` source pixels from `first` on, resized to `inside` crop pixels."""

    first: int
    length: int
    inside: int
    before: int
    """Crop pixels of padding before them."""
    after: int
    """Crop pixels of padding behind them."""


def augment(pair: Pair, config: DataConfig, seed: int) -> tuple[Tensor, Tensor]:
    """A random crop of `pair`: `image_3hw` float32 in 0..1 and `label_hw` int64, void where there is no image.

    The source is cropped before it is resized, so the work is that of the crop, not of the scaled image; the
    image is resized bilinearly with antialiasing, the label by nearest neighbour on the same pixel centres.
    """
    random = Random(seed)
    image_HW3, label_HW = pair
    scale = between(random, *config.scale)
    rows = draw_span(random, label_HW.shape[0], scale, config.crop[0])
    columns = draw_span(random, label_HW.shape[1], scale, config.crop[1])
    flip = random.random() < config.flip_probability
    part = (slice(rows.first, rows.first + rows.length), slice(columns.first, columns.first + columns.length))

    image = tv_tensors.Image(channels_first(image_HW3[part]))
    image = F.resize(image, [rows.inside, columns.inside], InterpolationMode.BILINEAR, antialias=True)
    image = jitter(F.to_dtype(image, torch.float32, scale=True), random, config.color_jitter)
    label = tv_tensors.Mask(resize_label(label_HW[part], rows.inside, columns.inside))

    padding = [columns.before, rows.before, columns.after, rows.after]
    if any(padding):
        image, label = F.pad(image, padding, fill=PAD_GREY), F.pad(label, padding, fill=IGNORE_INDEX)
    if flip:
        image, label = F.horizontal_flip(image), F.horizontal_flip(label)
    return image.as_subclass(Tensor).contiguous(), label.as_subclass(Tensor).to(torch.int64)


def image_tensor(image_HW3: Pixels) -> Tensor:
    """An 8-bit RGB image as `image_3HW`, float32 in 0..1."""
    image_3HW: Tensor = F.to_dtype(channels_first(image_HW3), torch.float32, scale=True)
    return image_3HW.contiguous()


def label_tensor(label_HW: Pixels) -> Tensor:
    """8-bit class ids as int64, the type that cross-entropy takes."""
    return torch.from_numpy(label_HW.copy()).to(torch.int64)


def draw_span(random: Random, side: int, scale: float, crop: int) -> Span:
    """Place a crop of `crop` pixels at random on a side of `side` pixels resized by `scale`.

    Where the resized side is shorter than the crop it lies wholly inside the crop, at a random place.
    """
    scaled = max(1, round(side * scale))
    slack = scaled - crop
    start = min(slack, 0) + int(random.random() * (abs(slack) + 1))
    first_scaled, last_scaled = max(0, start), min(scaled, start + crop)
    first = math.floor(first_scaled * side / scaled)
    last = math.ceil(last_scaled * side / scaled)
    before = first_scaled - start
    inside = last_scaled - first_scaled
    return Span(first=first, length=last - first, inside=inside, before=before, after=crop - before - inside)


def resize_label(label_HW: Pixels, height: int, width: int) -> Tensor:
    """`label_HW` by nearest neighbour, (height, width) uint8.

    torchvision resizes a Mask with the older rule of "nearest", which takes the corner instead of the centre of
    a pixel: labels would lie up to half a pixel beside the bilinear image, which thin classes notice.
    """
    label_1HW = torch.from_numpy(label_HW.copy())[None]
    resized_1HW: Tensor = F.resize_image(label_1HW, [height, width], InterpolationMode.NEAREST_EXACT)
    return resized_1HW[0]


def jitter(image: Tensor, random: Random, strength: float) -> Tensor:
    """Brightness, contrast and saturation by factors in 1 +- `strength`, in random order (torchvision's jitter)."""
    if strength == 0:
        return image
    changes = [
        (random.random(), change, between(random, 1 - strength, 1 + strength))
        for change in (F.adjust_brightness, adjust_contrast, F.adjust_saturation)
    ]
    for _, change, factor in sorted(changes, key=lambda item: item[0]):
        image = change(image, factor)
    return image


def adjust_contrast(image: Tensor, factor: float) -> Tensor:
    """Contrast as torchvision's, but with numpy's mean: torch's depends, in its last bits, on the number of threads."""
    mean = float(F.rgb_to_grayscale(image).numpy().mean(dtype=np.float64))
    return (image * factor + (1 - factor) * mean).clamp(0, 1)


def between(random: Random, low: float, high: float) -> float:
    """A uniform draw from [low, high)."""
    return low + (high - low) * random.random()


def channels_first(image_HW3: Pixels) -> Tensor:
    """A (3, H, W) view of a copy of the image; its memory stays channels-last, which torchvision resizes fastest."""
    return torch.from_numpy(image_HW3.copy()).permute(2, 0, 1)
