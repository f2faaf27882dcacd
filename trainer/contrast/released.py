"""The option `as_released`: the paper's method with the memory of the released code.

It reproduces defects 1 to 5 of docs/released_code.md. Mining, weight, temperature, precision and warm-up stay as
configured, so that a table shows what these five defects cost. With a memory, the released code compares anchors only
with the memory, which its self-mask (defect 5) requires; so does this option.
Axes: B images of this rank, N of all ranks, C classes, H W image, h w embedding map, D embedding width, K capacity,
k rows of one image, n positions.
"""

from __future__ import annotations

from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor

from trainer.config import ContrastConfig
from trainer.contrast.anchors import AnchorContext
from trainer.contrast.keys import BatchKeys, KeyBlock, Keys, KeySlots
from trainer.contrast.loss import Anchors
from trainer.contrast.memory import MemoryBank
from trainer.contrast.module import PixelContrast
from trainer.contrast.pixels import label_at
from trainer.contrast.queue import ClassQueue
from trainer.distributed import gather_images

__all__ = ["LABEL_STRIDE", "ReleasedBank", "ReleasedContrast"]

LABEL_STRIDE = 2
"""Stride of the labels relative to the embedding: the released memory config has labels at stride 8, features at 4."""


class ReleasedContrast(PixelContrast):
    """`PixelContrast` with the memory as released. Raises ValueError for a config that is not `as_released`."""

    def __init__(self, config: ContrastConfig, classes: int) -> None:
        super().__init__(config, classes)
        if not config.as_released:
            raise ValueError("contrast.as_released: not set; use PixelContrast")
        self.bank = ReleasedBank(self.bank.config, classes, config.embedding_dim)

    def candidates(
        self, embedding_BDhw: Tensor, context: AnchorContext, *, spread: bool = True
    ) -> tuple[Anchors, Keys, dict[str, Tensor]]:
        """Anchors, each with one excluded row of the bank (defect 5), and the bank alone, with class 0 (defect 4)."""
        anchors, keys, stats = super().candidates(embedding_BDhw, context, spread=spread)
        bank = tuple(with_zeros_of_class_0(block) for block in keys.bank)
        keys = Keys(batch=without_keys(keys.batch), bank=bank)
        return replace(anchors, excluded_A=self_mask(keys, len(anchors.class_A))), keys, stats


def without_keys(batch: BatchKeys) -> BatchKeys:
    """No key of the mini-batch; still part of the autograd graph."""
    slots = batch.slots
    none_SC = torch.zeros_like(slots.count_SC)
    return BatchKeys(batch.embedding_ND[:0], KeySlots(slots.position_N[:0], none_SC, none_SC, per_class=0))


def with_zeros_of_class_0(block: KeyBlock) -> KeyBlock:
    """Defect 4: the rows of class 0 are never written; these zero vectors are keys labelled 0."""
    is_0_C1 = torch.arange(len(block.valid_CK), device=block.valid_CK.device)[:, None] == 0
    return replace(block, valid_CK=block.valid_CK | is_0_C1)


def self_mask(keys: Keys, anchors: int) -> Tensor:
    """Defect 5: row i of the bank is not a positive of anchor i, whatever that row is; row numbers in `Keys`, (A,).

    A row of another class stays a negative: the released mask multiplies the mask of the positives only. The released
    list has classes 1 to the last, regions before pixels, then the zeros of class 0. With more anchors than rows the
    released code raises; here no row is excluded for the anchors beyond the end (-1).
    """
    sizes = [block.valid_CK.numel() for block in keys.bank]
    number_N = torch.arange(sum(sizes), device=keys.batch.embedding_ND.device)
    parts = [
        number_K.view_as(block.valid_CK)
        for number_K, block in zip(number_N.split_with_sizes(sizes), keys.bank, strict=True)
    ]
    listed_N = torch.cat(parts[::-1], dim=1).roll(-1, dims=0).flatten()
    return F.pad(listed_N, (0, max(0, anchors - len(listed_N))), value=-1)[:anchors]


class ReleasedBank(MemoryBank):
    """Queues written as in the released code."""

    @torch.no_grad()
    def push(
        self, embedding_BDhw: Tensor, label_NHW: Tensor, *, generator: torch.Generator, true_NHW: Tensor | None = None
    ) -> None:
        """Store a mini-batch image by image: the pointers of defect 3 depend on this order."""
        embedding_NDhw = gather_images(embedding_BDhw)
        h, w = embedding_NDhw.shape[2:]
        strides = [
            LABEL_STRIDE * max(1, full // reduced) for full, reduced in zip(label_NHW.shape[1:], (h, w), strict=True)
        ]
        coarse_Nn = label_NHW[:, :: strides[0], :: strides[1]].flatten(1)[:, : h * w]
        member_NCn = coarse_Nn[:, None] == torch.arange(self.classes, device=coarse_Nn.device)[:, None]
        member_NCn[:, 0] = False  # defect 4
        position_n = torch.arange(coarse_Nn.shape[1], device=coarse_Nn.device)
        for image, member_Cn in enumerate(member_NCn):
            vector_nD = embedding_NDhw[image].float().flatten(1)[:, : len(position_n)].T
            # Defect 2: positions in labels at stride 8 are used as positions in features at stride 4.
            true_n = label_at((label_NHW if true_NHW is None else true_NHW)[image : image + 1], position_n, (h, w))
            is_true_Cn = true_n == torch.arange(self.classes, device=true_n.device)[:, None]
            pixels_C = member_Cn.sum(1)
            for name, queue in zip(self.queues, self.contents(), strict=True):
                if name == "region":
                    mean_CD = F.normalize(member_Cn.float() @ vector_nD, dim=1)
                    purity_C = (is_true_Cn & member_Cn).sum(1) / pixels_C.clamp(min=1)
                    write_rows(queue, mean_CD[:, None], purity_C[:, None], pixels_C.clamp(max=1))
                    continue
                # Defect 1: positions are drawn from 0..n-1 for the n pixels of a class, not from these pixels.
                lot_Cn = torch.rand(member_Cn.shape, generator=generator, device=member_Cn.device)
                below_Cn = position_n < pixels_C[:, None]
                size = min(self.config.pixels_per_image, queue.capacity, len(position_n))
                drawn_Ck = lot_Cn.masked_fill_(~below_Cn, -1).topk(size, dim=1).indices
                purity_Ck = is_true_Cn.gather(1, drawn_Ck).float()
                write_rows(queue, vector_nD[drawn_Ck], purity_Ck, pixels_C.clamp(max=size))


def write_rows(queue: ClassQueue, row_CkD: Tensor, purity_Ck: Tensor, written_C: Tensor) -> None:
    """Write the first `written_C` rows of each class at its pointer, then advance the pointer by one (defect 3).

    Rows that would reach the end go to the last slots, and the pointer returns to 0.
    """
    size = row_CkD.shape[1]
    at_end_C = queue.pointer_C + written_C >= queue.capacity
    start_C = torch.where(at_end_C, queue.capacity - written_C, queue.pointer_C)
    number_k = torch.arange(size, device=start_C.device)
    new_Ck = number_k < written_C[:, None]
    # Slots of a class are distinct: rows that are not written map to the following slots and keep their old values.
    slot_Ck = (start_C[:, None] + number_k) % queue.capacity
    class_C1 = torch.arange(len(start_C), device=start_C.device)[:, None]
    held_CkD, held_Ck = queue.embedding_CKD[class_C1, slot_Ck], queue.purity_CK[class_C1, slot_Ck]
    queue.embedding_CKD[class_C1, slot_Ck] = torch.where(new_Ck[..., None], row_CkD.to(held_CkD.dtype), held_CkD)
    queue.purity_CK[class_C1, slot_Ck] = torch.where(new_Ck, purity_Ck, held_Ck)
    moved_C = torch.where(at_end_C, 0, (queue.pointer_C + 1) % queue.capacity)
    queue.pointer_C.copy_(torch.where(written_C > 0, moved_C, queue.pointer_C))
    queue.count_C.copy_(torch.where(written_C > 0, torch.maximum(queue.count_C, start_C + written_C), queue.count_C))
