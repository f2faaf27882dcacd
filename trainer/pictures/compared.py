"""The images by which reports compare trials: each with its truth and its prediction, small.   Axes: H W image."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from trainer.data.source import IGNORE_INDEX, Colour, Pixels
from trainer.pictures.canvas import write

__all__ = ["save_compared"]

WIDTH = 240
"""Largest width of each file, pixels."""
QUALITY = 85
"""Of the image, as a JPEG file."""


def save_compared(
    folder: Path, index: int, image_HW3: Pixels, truth_HW: Pixels, prediction_HW: Pixels, palette: Sequence[Colour]
) -> tuple[Path, ...]:
    """Write image `index` of a split to `folder`; returns the paths: `compare_0017_image.jpg`, ..._truth.png and so on.

    Labels are PNG files with the class as index into the palette; void is transparent.
    """
    height, width = truth_HW.shape
    size = (min(width, WIDTH), max(1, round(height * min(width, WIDTH) / width)))
    stem = f"compare_{index:04d}"
    photo = Image.fromarray(np.ascontiguousarray(image_HW3)).resize(size, Image.Resampling.BILINEAR)
    paths = [write(photo, folder / f"{stem}_image.jpg", format="JPEG", quality=QUALITY)]
    for name, label_HW in (("truth", truth_HW), ("prediction", prediction_HW)):
        picture = label_picture(label_HW, palette).resize(size, Image.Resampling.NEAREST)
        path = folder / f"{stem}_{name}.png"
        paths.append(write(picture, path, format="PNG", optimize=True, transparency=IGNORE_INDEX))
    return tuple(paths)


def label_picture(label_HW: Pixels, palette: Sequence[Colour]) -> Image.Image:
    """A label map as a palette image, whose indices are the classes."""
    picture = Image.fromarray(np.ascontiguousarray(label_HW, dtype=np.uint8))
    picture.putpalette([value for colour in palette for value in colour] + [0] * 3 * (256 - len(palette)))
    return picture
