"""Keys: the embeddings of the mini-batch and of the bank that anchors are compared with.

Axes: P pixels of the mini-batch, C classes, K rows per class of a queue, D embedding width, S scopes, n rows of the
mini-batch per scope, N = S * n. A scope is the set of keys that an anchor is compared with: one per image for
`intra_image`, a single one otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from trainer.contrast.memory import MemoryBank

__all__ = ["BatchKeys", "KeyBlock", "KeySlots", "Keys", "bank_keys", "batch_slots"]


@dataclass(frozen=True, slots=True)
class KeySlots:
    """Pixels of the mini-batch that are keys: by scope, then class; rows that are no key come last in their scope.

    There are only as many rows as pixels, so that all pixels of an image with many classes can be keys.
    """

    position_N: Tensor
    """Flat pixel index of each row. An anchor is not compared with its own pixel; the released code masks other entries
    instead (docs/released_code.md, 5)."""
    first_SC: Tensor
    """First row of each class, counted within its scope, int64."""
    count_SC: Tensor
    """Rows of each class, int64."""
    per_class: int
    """Maximum of `count_SC`; known without asking the device."""

    @property
    def rows(self) -> int:
        """Rows of a scope, n."""
        return len(self.position_N) // len(self.first_SC)

    def is_key(self) -> Tensor:
        """True (N,) for the rows that are keys, which are the first ones of each scope."""
        row_n = torch.arange(self.rows, device=self.position_N.device)
        return (row_n < self.count_SC.sum(1)[:, None]).flatten()

    def sample(self, per_class: int) -> tuple[Tensor, Tensor]:
        """Rows (C, S * per_class) with the first `per_class` of each class and scope, and True where there is one.

        The rows of a class are in random order.
        """
        scopes, classes = self.first_SC.shape
        number_k = torch.arange(per_class, device=self.position_N.device)
        start_S1 = torch.arange(scopes, device=number_k.device)[:, None] * self.rows
        row_SCk = (self.first_SC + start_S1)[..., None] + number_k
        valid_SCk = number_k < self.count_SC[..., None]
        row_CSk, valid_CSk = row_SCk.transpose(0, 1), valid_SCk.transpose(0, 1)
        return row_CSk.clamp(max=len(self.position_N) - 1).reshape(classes, -1), valid_CSk.reshape(classes, -1)


@dataclass(frozen=True, slots=True)
class BatchKeys:
    """Keys of the mini-batch."""

    embedding_ND: Tensor
    """float32."""
    slots: KeySlots


@dataclass(frozen=True, slots=True)
class KeyBlock:
    """Keys of one queue, by class. The embeddings are views of its buffers."""

    embedding_CKD: Tensor
    """In the dtype of the bank."""
    valid_CK: Tensor


@dataclass(frozen=True, slots=True)
class Keys:
    """All candidates of a step, the mini-batch first; only the mini-batch receives a gradient.

    Keys are numbered by block: those of the mini-batch by scope, class and row, those of a queue by class and row. Only
    a mini-batch without a bank has several scopes.
    """

    batch: BatchKeys
    bank: tuple[KeyBlock, ...] = ()

    @property
    def scopes(self) -> int:
        """Number of scopes, S."""
        return len(self.batch.slots.first_SC)

    def count_valid(self) -> Tensor:
        """Number of valid keys per scope and class, int64 (S, C)."""
        return self.batch.slots.count_SC + sum(block.valid_CK.sum(1) for block in self.bank)


def batch_slots(label_P: Tensor, classes: int, per_class: int, *, scopes: int, generator: torch.Generator) -> KeySlots:
    """Up to `per_class` random labelled pixels of each class and scope, without a loop or a host sync.

    Labels outside 0..classes-1 mean no class.
    """
    pixels, device = len(label_P) // scopes, label_P.device
    known_P = (label_P >= 0) & (label_P < classes)
    scope_P = torch.arange(len(label_P), device=device) // pixels
    group_P = torch.where(known_P, label_P, classes) + scope_P * (classes + 1)
    order_P = torch.randperm(len(label_P), generator=generator, device=device)
    sorted_P, rank_P = group_P[order_P].sort(stable=True)
    order_P = order_P[rank_P]
    edge = torch.searchsorted(sorted_P, torch.arange(scopes * (classes + 1) + 1, device=device))
    count_SC = edge.diff().view(scopes, classes + 1)[:, :-1]
    rows = pixels
    if per_class < pixels:
        row_P = torch.arange(len(label_P), device=device)
        is_spare_P = row_P - edge[sorted_P] >= per_class
        last_P = (sorted_P // (classes + 1) + 1) * (classes + 1) - 1
        order_P = order_P[torch.where(is_spare_P, last_P, sorted_P).sort(stable=True).indices]
        count_SC = count_SC.clamp(max=per_class)
        rows = min(pixels, classes * per_class)
    return KeySlots(
        position_N=order_P.view(scopes, pixels)[:, :rows].flatten(),
        first_SC=count_SC.cumsum(1) - count_SC,
        count_SC=count_SC,
        per_class=min(per_class, pixels),
    )


def bank_keys(bank: MemoryBank) -> tuple[KeyBlock, ...]:
    """A block for each queue of the bank; empty rows are invalid (docs/released_code.md, 6)."""
    return tuple(KeyBlock(queue.embedding_CKD, queue.filled) for queue in bank.contents())
