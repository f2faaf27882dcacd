"""Keys: the embeddings of the mini-batch and of the bank that anchors are compared with.

Axes: C classes, K rows per class of one block, D embedding width, S scopes. A scope is the set of keys that an anchor
is compared with: one per image for `intra_image`, a single one otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from trainer.contrast.groups import Slots, sample_groups
from trainer.contrast.memory import MemoryBank

__all__ = ["KeyBlock", "Keys", "bank_keys", "batch_slots"]


@dataclass(frozen=True, slots=True)
class KeyBlock:
    """Keys of the mini-batch or of one queue, by class. The bank's embeddings are views of its buffers."""

    embedding_CKD: Tensor
    """float32, or the dtype of the bank."""
    valid_CK: Tensor


@dataclass(frozen=True, slots=True)
class Keys:
    """All candidates of a step, the mini-batch first; only the mini-batch receives a gradient.

    Keys are numbered by block, then class, then scope (only the mini-batch has several), then row.
    """

    batch: KeyBlock
    position_CK: Tensor
    """Flat pixel index of each key of the mini-batch. An anchor is not compared with its own pixel; the released code
    masks other entries instead (docs/released_code.md, 5)."""
    bank: tuple[KeyBlock, ...] = ()
    scopes: int = 1

    @property
    def blocks(self) -> tuple[KeyBlock, ...]:
        """The mini-batch and the queues of the bank."""
        return (self.batch, *self.bank)

    @property
    def rows(self) -> tuple[int, ...]:
        """Rows per class and scope of each block."""
        return tuple(block.valid_CK.shape[1] // self.scopes for block in self.blocks)

    def count_valid(self) -> Tensor:
        """Number of valid keys per scope and class, int64 (S, C)."""
        classes = len(self.position_CK)
        return torch.stack([block.valid_CK.view(classes, self.scopes, -1).sum(2).T for block in self.blocks]).sum(0)


def batch_slots(label_P: Tensor, classes: int, per_class: int, *, scopes: int, generator: torch.Generator) -> Slots:
    """Up to `per_class` random labelled pixels of each class and scope; slots of shape (C, scopes * per_class)."""
    per_scope = len(label_P) // scopes
    scope_P = torch.arange(len(label_P), device=label_P.device) // per_scope
    group_P = torch.where((label_P >= 0) & (label_P < classes), label_P * scopes + scope_P, classes * scopes)
    slots = sample_groups(group_P, classes * scopes, per_class, generator=generator)
    shape = (classes, scopes * per_class)
    return Slots(slots.index_Gk.view(shape), slots.valid_Gk.view(shape))


def bank_keys(bank: MemoryBank) -> tuple[KeyBlock, ...]:
    """A block for each queue of the bank; empty rows are invalid (docs/released_code.md, 6)."""
    return tuple(KeyBlock(queue.embedding_CKD, queue.filled) for queue in bank.contents())
