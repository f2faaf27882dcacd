"""A mini-batch as a flat list of pixels at embedding resolution.

A position p counts the pixels of all images row by row: p = (image * h + y) * w + x.
Axes: B batch, H W image, h w embedding map, D embedding width, P pixels (B*h*w), N any number of positions.
"""

from __future__ import annotations

import torch
from torch import Tensor

from trainer.distributed import rows_of_all_ranks

__all__ = ["embedding_at", "label_at", "reduce_nearest"]


def reduce_nearest(map_BHW: Tensor, size_hw: tuple[int, int]) -> Tensor:
    """Labels or predictions at the exact size (h, w) of the embedding, each the nearest neighbour of its cell's centre.

    Integer arithmetic, so that no label is ever mixed or shifted by rounding. The released code subsampled labels at
    a stride of its own (method.md, defect 2). Returns (B, h, w).
    """
    rows = nearest(map_BHW.shape[1], size_hw[0], torch.arange(size_hw[0], device=map_BHW.device))
    columns = nearest(map_BHW.shape[2], size_hw[1], torch.arange(size_hw[1], device=map_BHW.device))
    return map_BHW[:, rows[:, None], columns]


def label_at(label_BHW: Tensor, position_N: Tensor, size_hw: tuple[int, int]) -> Tensor:
    """Labels read straight from the full-size map at flat positions of an (h, w) embedding; (N,).

    It shares no reduced map with `reduce_nearest`, so that the purity of the bank is a measurement.
    """
    (height, width), (h, w) = label_BHW.shape[1:], size_hw
    image_N, y_N, x_N = position_N // (h * w), position_N // w % h, position_N % w
    return label_BHW[image_N, nearest(height, h, y_N), nearest(width, w, x_N)]


def embedding_at(embedding_BDhw: Tensor, position_N: Tensor) -> Tensor:
    """Rows (N, D), float32, of an embedding map at flat positions; differentiable.

    With several ranks B are the images of this one, and positions count the pixels of all: every rank gets all rows,
    with gradient those of its own images.
    """
    images, _, h, w = embedding_BDhw.shape
    image_N = position_N // (h * w)
    rows_ND = embedding_BDhw.flatten(2)[image_N % images, :, position_N % (h * w)]
    return rows_of_all_ranks(rows_ND.float(), image_N, images)


def nearest(full: int, reduced: int, index: Tensor) -> Tensor:
    """Index along an axis of `full` cells of the one nearest to the centre of cell `index` of `reduced` cells."""
    return (2 * index + 1) * full // (2 * reduced)
