"""Views of an image at evaluation: sliding windows, scales, mirror images.   Axes: B batch, C classes, H W image."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from trainer.config import EvaluationConfig, setting

__all__ = ["average_logits", "resize", "slide"]

Network = Callable[[Tensor], Tensor]
"""Images (B, 3, H, W) to logits (B, C, H, W)."""


def average_logits(
    network: Network, image_B3HW: Tensor, config: EvaluationConfig, size: tuple[int, int] | None = None
) -> Tensor:
    """The mean logits over scales and mirror images, at `size` = (H, W), by default the size of the image.

    A view is seen whole or through the window.
    """
    height, width = own_size = (int(image_B3HW.shape[-2]), int(image_B3HW.shape[-1]))
    size = size or own_size
    seen = network
    if (window := config.window) is not None:
        stride = config.stride or (max(1, window[0] * 2 // 3), max(1, window[1] * 2 // 3))
        seen = partial(slide, network, window=window, stride=stride)
    total, views = torch.zeros((), device=image_B3HW.device), 0
    for scale in setting(config, "scales"):
        view_B3HW = resize(image_B3HW, (max(1, round(height * scale)), max(1, round(width * scale))))
        total = total + resize(seen(view_B3HW), size)
        views += 1
        if setting(config, "flip"):
            total = total + resize(seen(view_B3HW.flip(-1)).flip(-1), size)
            views += 1
    return total / views


def resize(values_BKHW: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize images or logits to `size` = (H, W); returned unchanged if they have that size."""
    if tuple(values_BKHW.shape[-2:]) == size:
        return values_BKHW
    return F.interpolate(values_BKHW, size=size, mode="bilinear", align_corners=False)


def slide(network: Network, image_B3HW: Tensor, window: tuple[int, int], stride: tuple[int, int]) -> Tensor:
    """Logits averaged over all windows that cover a pixel.

    The last window of a row or column is moved back to end at the border. An image smaller than the window is seen
    whole.
    """
    height, width = image_B3HW.shape[-2:]
    total = torch.zeros((), device=image_B3HW.device)
    count_HW = torch.zeros(height, width, device=image_B3HW.device)
    for top in starts(height, window[0], stride[0]):
        for left in starts(width, window[1], stride[1]):
            rows, columns = slice(top, top + window[0]), slice(left, left + window[1])
            logits_BChw = network(image_B3HW[..., rows, columns])
            if total.ndim == 0:
                total = logits_BChw.new_zeros(*logits_BChw.shape[:2], height, width)
            total[..., rows, columns] += logits_BChw
            count_HW[rows, columns] += 1
    return total / count_HW


def starts(length: int, window: int, stride: int) -> list[int]:
    """Start positions of the windows along a side."""
    last = max(length - window, 0)
    return [*range(0, last, stride), last]
