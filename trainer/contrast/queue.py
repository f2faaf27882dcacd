"""A first-in, first-out queue of embeddings per class, held in buffers of static shape.

Axes: C classes, K capacity of a class, R rows offered per class, D embedding width.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

__all__ = ["ClassQueue", "Rows"]


@dataclass(frozen=True, slots=True)
class Rows:
    """Embeddings to be pushed, oldest first within a class."""

    embedding_CRD: Tensor
    purity_CR: Tensor
    """Share of the pixels behind a row that belong to the row's class, 0..1."""
    valid_CR: Tensor
    """Rows with False are skipped."""


class ClassQueue(nn.Module):
    """Ring buffers (C, K, D). Row k of class c holds an embedding iff k < count[c]; empty rows are never used.

    The pointer advances by the number of rows written, so a full ring loses its oldest rows. The released code gets
    both wrong (docs/released_code.md, 6 and 3).
    """

    embedding_CKD: Tensor
    purity_CK: Tensor
    pointer_C: Tensor
    count_C: Tensor

    def __init__(self, classes: int, capacity: int, width: int, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        self.register_buffer("embedding_CKD", torch.zeros(classes, capacity, width, dtype=dtype))
        self.register_buffer("purity_CK", torch.zeros(classes, capacity))
        self.register_buffer("pointer_C", torch.zeros(classes, dtype=torch.int64))
        self.register_buffer("count_C", torch.zeros(classes, dtype=torch.int64))

    @property
    def capacity(self) -> int:
        """Rows per class."""
        return self.embedding_CKD.shape[1]

    @property
    def filled(self) -> Tensor:
        """(C, K), True where a row holds an embedding."""
        return torch.arange(self.capacity, device=self.count_C.device) < self.count_C[:, None]

    @torch.no_grad()
    def push(self, rows: Rows) -> None:
        """Append the valid rows of every class in order; of more rows than the capacity, the last ones are kept."""
        written_C = rows.valid_CR.sum(1)
        window = min(rows.valid_CR.shape[1], self.capacity)
        arrival_Cn = (written_C - window).clamp(min=0)[:, None] + torch.arange(window, device=written_C.device)
        source_Cn = rows.valid_CR.byte().argsort(dim=1, descending=True, stable=True).gather(1, arrival_Cn)
        slot_Cn = (self.pointer_C[:, None] + arrival_Cn) % self.capacity
        class_C1 = torch.arange(len(written_C), device=written_C.device)[:, None]
        # A class with fewer new rows than the window writes its old rows back: all slots of a class are distinct.
        new_Cn = arrival_Cn < written_C[:, None]
        self.embedding_CKD[class_C1, slot_Cn] = torch.where(
            new_Cn[..., None],
            rows.embedding_CRD[class_C1, source_Cn].to(self.embedding_CKD.dtype),
            self.embedding_CKD[class_C1, slot_Cn],
        )
        self.purity_CK[class_C1, slot_Cn] = torch.where(
            new_Cn, rows.purity_CR[class_C1, source_Cn], self.purity_CK[class_C1, slot_Cn]
        )
        self.pointer_C.copy_((self.pointer_C + written_C) % self.capacity)
        self.count_C.copy_((self.count_C + written_C).clamp(max=self.capacity))
