"""Labels of a control: permuted among the pixels that are compared with each other (`contrast.labels: shuffled`).

Axes: B images of this rank, N of all ranks, H W image, h w embedding map, P pixels of all ranks.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from trainer.contrast.pixels import reduce_nearest
from trainer.distributed import gather_images, own_images

__all__ = ["LabelShuffle", "draw_shuffle"]


@dataclass(frozen=True, slots=True)
class LabelShuffle:
    """A permutation of the pixels of all ranks, at the size of the embedding."""

    source_Nhw: Tensor
    """Flat position of the pixel from which each pixel gets its value, int64."""

    def __call__(self, map_BHW: Tensor) -> Tensor:
        """Labels or predictions (B, h, w) of the images of this rank, reduced to the size of the embedding, permuted.

        Labels and predictions move together, so as many pixels of each class are misclassified as before.
        """
        map_Nhw = gather_images(reduce_nearest(map_BHW, (self.source_Nhw.shape[1], self.source_Nhw.shape[2])))
        return own_images(map_Nhw.flatten()[self.source_Nhw])


def draw_shuffle(
    label_BHW: Tensor, size_hw: tuple[int, int], classes: int, *, within_images: bool, generator: torch.Generator
) -> LabelShuffle:
    """Permute the labelled pixels of all images, or of each image, uniformly; no host sync.

    Pixels with labels outside 0..classes-1 only change places among themselves, so they stay without a class. Ranks
    whose generators have equal states draw the permutation of a single process.
    """
    label_Nhw = gather_images(reduce_nearest(label_BHW, size_hw))
    group_Nhw = ((label_Nhw < 0) | (label_Nhw >= classes)).long()
    if within_images:
        group_Nhw = group_Nhw + 2 * torch.arange(len(label_Nhw), device=label_Nhw.device)[:, None, None]
    group_P = group_Nhw.flatten()
    order_P = torch.randperm(len(group_P), generator=generator, device=group_P.device)
    drawn_P = order_P[group_P[order_P].sort(stable=True).indices]  # the groups one after another, each in random order
    source_P = torch.empty_like(drawn_P)
    source_P[group_P.sort(stable=True).indices] = drawn_P
    return LabelShuffle(source_P.view_as(label_Nhw))
