"""A mini-batch as a flat list of pixels at embedding resolution.

The position of a pixel is p = (image * h + y) * w + x.
Axes: B batch, H W image, h w embedding map, D embedding width, P pixels (B*h*w), N any number of positions.
"""

from __future__ import annotations

import torch
from torch import Tensor

from trainer.distributed import rows_of_all_ranks

__all__ = ["embedding_at", "label_at", "reduce_nearest"]


def reduce_nearest(map_BHW: Tensor, size_hw: tuple[int, int]) -> Tensor:
    """Labels or predictions at the size (h, w) of the embedding, by nearest neighbour of the cell centres; (B, h, w).

    Integer arithmetic, so that rounding cannot shift a label. The released code subsamples labels at another stride
    than the features (docs/released_code.md, 2). Where both sides are multiples, `nearest_cell` is an arithmetic
    progression, and one copy of a strided view takes the place of eleven operators.
    """
    (height, width), (h, w) = map_BHW.shape[1:], size_hw
    if height % h == width % w == 0:
        down, right = height // h, width // w
        return map_BHW[:, down // 2 :: down, right // 2 :: right].contiguous()
    rows = nearest_cell(height, h, torch.arange(h, device=map_BHW.device))
    columns = nearest_cell(width, w, torch.arange(w, device=map_BHW.device))
    return map_BHW[:, rows[:, None], columns]


def label_at(label_BHW: Tensor, position_N: Tensor, size_hw: tuple[int, int]) -> Tensor:
    """Labels of the full-size map at flat positions of an (h, w) embedding; (N,).

    Does not use `reduce_nearest`, so that the purity of the bank is an independent measurement.
    """
    (height, width), (h, w) = label_BHW.shape[1:], size_hw
    image_N, y_N, x_N = position_N // (h * w), position_N // w % h, position_N % w
    return label_BHW[image_N, nearest_cell(height, h, y_N), nearest_cell(width, w, x_N)]


def embedding_at(embedding_BDhw: Tensor, position_N: Tensor) -> Tensor:
    """Rows (N, D), float32, of an embedding map at flat positions; differentiable.

    With several ranks, the map holds the images of this rank and positions count the pixels of all ranks. Every rank
    gets all rows; those of its own images have a gradient.
    """
    images, _, h, w = embedding_BDhw.shape
    image_N = position_N // (h * w)
    pixel_PD = embedding_BDhw.movedim(1, -1).flatten(0, -2)
    rows_ND = pixel_PD.index_select(0, position_N % (images * h * w))
    return rows_of_all_ranks(rows_ND.float(), image_N, images)


def nearest_cell(full: int, reduced: int, index: Tensor) -> Tensor:
    """Along an axis, the one of `full` cells that is nearest to the centre of cell `index` of `reduced` cells."""
    return (2 * index + 1) * full // (2 * reduced)
