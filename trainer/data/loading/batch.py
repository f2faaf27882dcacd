"""A batch of images with their labels.   Axes: B batch, H W image."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

__all__ = ["Batch"]


@dataclass(frozen=True, slots=True)
class Batch:
    """Images with their labels, on the device that uses them."""

    image_B3HW: Tensor
    """float32 RGB in 0..1."""
    label_BHW: Tensor
    """int64 class ids, `IGNORE_INDEX` for void."""
    first: int = 0
    """In evaluation, the place of the first image in its split."""
