"""Colours of classes: PASCAL VOC's palette for data sets without one, and label maps in colour."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from trainer.data.source import IGNORE_INDEX, Colour, Pixels

__all__ = ["colour_labels", "voc_palette"]


def colour_labels(label_HW: NDArray[np.integer], palette: Sequence[Colour]) -> Pixels:
    """A label map in the colours of its classes, (H, W, 3); void is black."""
    table = np.zeros((IGNORE_INDEX + 1, 3), dtype=np.uint8)
    table[: len(palette)] = palette
    colour_HW3: Pixels = table[label_HW]
    return colour_HW3


def voc_palette(count: int) -> tuple[Colour, ...]:
    """`count` distinct colours (at most 255), none of them black, which is void."""
    return tuple(voc_colour(index) for index in range(1, count + 1))


def voc_colour(index: int) -> Colour:
    """The VOC colour of `index`: red is bits 0, 3, 6, green 1, 4, 7 and blue 2, 5; the lowest bit is the brightest."""
    channels = [0, 0, 0]
    for bit in range(8):
        if index >> bit & 1:
            channels[bit % 3] |= 1 << (7 - bit // 3)
    return channels[0], channels[1], channels[2]
