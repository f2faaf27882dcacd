"""Keys: the embeddings of the mini-batch and of the bank that anchors are compared with.

Axes: C classes, K rows per class of one block, D embedding width, N rows of all blocks (block after block, in each
class after class), S scopes (the images where an anchor meets keys of its own image only, else one), M rows of one
class in one scope over all blocks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from trainer.contrast.groups import sample_groups
from trainer.contrast.memory import MemoryBank
from trainer.contrast.pixels import embedding_at

__all__ = ["BANK_ROW", "KeyBlock", "Keys", "bank_keys", "batch_keys"]

BANK_ROW = -1
"""Position of a row that is no pixel of the mini-batch."""


@dataclass(frozen=True, slots=True)
class KeyBlock:
    """Keys of one origin, class by class. The bank's embeddings are views of its buffers, never copies."""

    embedding_CKD: Tensor
    valid_CK: Tensor
    position_CK: Tensor
    """Flat pixel of the mini-batch, or `BANK_ROW`: an anchor is kept from its own pixel only (method.md, defect 5)."""


@dataclass(frozen=True, slots=True)
class Keys:
    """All candidates of a step. Only the first block, the mini-batch, receives a gradient."""

    blocks_KD: tuple[Tensor, ...]
    """Embeddings of each block, (C*K, D)."""
    class_N: Tensor
    valid_N: Tensor
    position_N: Tensor
    column_SCM: Tensor
    """Row numbers, in 0..N-1, of the keys that an anchor of a scope may meet, by class."""

    @classmethod
    def join(cls, *blocks: KeyBlock, scopes: int = 1) -> Self:
        """One list of candidates out of several blocks, the mini-batch first.

        With several scopes the rows of a class are ordered by scope, each scope having the same number of them.
        """
        classes, device = blocks[0].valid_CK.shape[0], blocks[0].valid_CK.device
        class_C1 = torch.arange(classes, device=device)[:, None]
        sizes = [block.valid_CK.numel() for block in blocks]
        number_N = torch.arange(sum(sizes), device=device)
        columns = [number_K.view(classes, scopes, -1).transpose(0, 1) for number_K in number_N.split_with_sizes(sizes)]
        return cls(
            blocks_KD=tuple(block.embedding_CKD.flatten(0, 1) for block in blocks),
            class_N=torch.cat([class_C1.expand_as(block.valid_CK).flatten() for block in blocks]),
            valid_N=torch.cat([block.valid_CK.flatten() for block in blocks]),
            position_N=torch.cat([block.position_CK.flatten() for block in blocks]),
            column_SCM=torch.cat(columns, dim=2),
        )


def batch_keys(
    embedding_BDhw: Tensor,
    label_P: Tensor,
    classes: int,
    per_class: int,
    *,
    scopes: int = 1,
    generator: torch.Generator,
) -> KeyBlock:
    """Up to `per_class` random labelled pixels of each class: of the mini-batch, or of each image if `scopes` is B."""
    per_scope = len(label_P) // scopes
    scope_P = torch.arange(len(label_P), device=label_P.device) // per_scope
    group_P = torch.where((label_P >= 0) & (label_P < classes), label_P * scopes + scope_P, classes * scopes)
    slots = sample_groups(group_P, classes * scopes, per_class, generator=generator)
    position_CK = slots.index_Gk.view(classes, scopes * per_class)
    return KeyBlock(
        embedding_CKD=embedding_at(embedding_BDhw, position_CK.flatten()).view(*position_CK.shape, -1),
        valid_CK=slots.valid_Gk.view_as(position_CK),
        position_CK=position_CK,
    )


def bank_keys(bank: MemoryBank) -> tuple[KeyBlock, ...]:
    """A block for each queue of the bank; empty rows are not valid (method.md, defect 6)."""
    return tuple(
        KeyBlock(queue.embedding_CKD, queue.filled, torch.full_like(queue.filled, BANK_ROW, dtype=torch.int64))
        for queue in bank.contents()
    )
