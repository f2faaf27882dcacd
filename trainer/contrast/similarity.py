"""Similarities between a block of anchors and all keys, and the gradient through them.

Keys are read in tiles that fit a CPU's cache; a half-precision bank is converted to float32 tile by tile.
Axes: a anchors of one block, N keys in the numbering of `Keys`, n keys of the mini-batch in one scope, M keys of one
scope, j chosen keys, C classes, K keys of a part, S scopes, D embedding width.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from trainer.block_size import SPARSE_SHARE, tile_similarities
from trainer.contrast.keys import Keys
from trainer.contrast.mining import EXCLUDED

__all__ = ["SimilarityMatrix", "tiles"]


class SimilarityMatrix:
    """Logits between a block of anchors and all keys of their scope, in a buffer that all blocks share."""

    def __init__(self, keys: Keys, block: int, extra: int = 0) -> None:
        """`extra`: scratch columns for the miner (`trainer.block_size.extra_columns`)."""
        self.keys = keys
        self.rows_KD = (keys.batch.embedding_ND, *(item.embedding_CKD.flatten(0, 1) for item in keys.bank))
        valid = (keys.batch.slots.is_key(), *(item.valid_CK.flatten() for item in keys.bank))
        self.bias_N = [torch.zeros_like(item, dtype=torch.float32).masked_fill_(~item, EXCLUDED) for item in valid]
        device, width = self.bias_N[0].device, sum(len(rows_KD) for rows_KD in self.rows_KD)
        self.logit_aN = torch.empty(block, width + extra, device=device)[:, :width]
        self.valid_SC = keys.count_valid()

    def logits(self, anchor_aD: Tensor, scope_a: Tensor) -> Tensor:
        """Dot products (a, M) with the keys of each anchor's scope; `EXCLUDED` where a key is invalid."""
        logit_aN = self.logit_aN[: len(anchor_aD)]
        for out_aK, rows_KD, bias_K in self.parts(logit_aN):
            torch.addmm(bias_K, anchor_aD, rows_KD.T, out=out_aK)
        return logit_aN if self.keys.scopes == 1 else self.by_scope(logit_aN)[self.each(scope_a)]

    def batch_columns(self, class_a: Tensor, scope_a: Tensor, position_a: Tensor) -> tuple[Tensor, Tensor]:
        """Numbers (a, K) of the mini-batch's keys of each anchor's class and scope, K = `KeySlots.per_class`.

        Also (a, K) True for the keys that are not the anchor's own pixel. Further numbers repeat the last key.
        """
        slots = self.keys.batch.slots
        number_K = torch.arange(min(slots.per_class, slots.rows), device=class_a.device)
        first_a1, count_a1 = (item[scope_a, class_a][:, None] for item in (slots.first_SC, slots.count_SC))
        column_aK = torch.minimum(number_K, (count_a1 - 1).clamp_(min=0)).add_(first_a1).clamp_(max=slots.rows - 1)
        position_aK = slots.position_N[column_aK + (scope_a * slots.rows)[:, None]]
        return column_aK, (number_K < count_a1) & (position_aK != position_a[:, None])

    def bank_columns(self, class_a: Tensor) -> Tensor:
        """Numbers (a, K) of all rows of the queues of each anchor's class."""
        start, columns = len(self.rows_KD[0]), []
        for block in self.keys.bank:
            classes, rows = block.valid_CK.shape
            number_K = torch.arange(start, start + rows, device=class_a.device)
            columns.append(class_a[:, None] * rows + number_K)
            start += classes * rows
        return torch.cat(columns, dim=1) if columns else class_a.new_empty(len(class_a), 0)

    def add_gradients(self, slope_aM: Tensor, anchor_aD: Tensor, scope_a: Tensor, grad_ND: Tensor) -> Tensor:
        """Gradients (a, D) of the anchors, from those of the logits; those of the mini-batch's keys are added up."""
        slope_aN = slope_aM
        if self.keys.scopes > 1:
            slope_aN = self.logit_aN[: len(slope_aM)].zero_()
            self.by_scope(slope_aN)[self.each(scope_a)] = slope_aM
        grad_aD = torch.zeros_like(anchor_aD)
        for part_aK, rows_KD, _ in self.parts(slope_aN):
            grad_aD.addmm_(part_aK, rows_KD)
        grad_ND.addmm_(slope_aN[:, : len(grad_ND)].T, anchor_aD)
        return grad_aD

    def add_sparse_gradients(self, slope_aj: Tensor, column_aj: Tensor, anchor_aD: Tensor, grad_ND: Tensor) -> Tensor:
        """The same from the gradients of the chosen keys' logits only; single scope. Overwrites the logits."""
        grad_aD, start = torch.zeros_like(anchor_aD), 0
        for number, rows_KD in enumerate(self.rows_KD):
            if len(rows_KD) == 0:  # `as_released` has no keys of the mini-batch, and `embedding_bag` needs a row
                continue
            is_here_aj = (column_aj >= start) & (column_aj < start + len(rows_KD))
            here_aj, part_aj = (column_aj - start) * is_here_aj, slope_aj * is_here_aj
            grad_aD += F.embedding_bag(here_aj, rows_KD, per_sample_weights=part_aj, mode="sum")
            if number == 0:
                slope_aK = self.logit_aN[: len(slope_aj), : len(rows_KD)].zero_().scatter_add_(1, here_aj, part_aj)
                grad_ND.addmm_(slope_aK.T, anchor_aD)
            start += len(rows_KD)
        return grad_aD

    def pays_sparse(self, chosen: int) -> bool:
        """Whether `sparse_gradients` is faster for `chosen` keys per anchor; never on a GPU."""
        on_cpu = self.logit_aN.device.type == "cpu"
        single = all(rows_KD.dtype == torch.float32 for rows_KD in self.rows_KD)
        return on_cpu and single and self.keys.scopes == 1 and chosen <= SPARSE_SHARE * self.logit_aN.shape[1]

    def parts(self, matrix_aN: Tensor) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Views of the columns of `matrix_aN` with their keys, in float32, and their biases."""
        sizes = [len(rows_KD) for rows_KD in self.rows_KD]
        for part_aK, rows_KD, bias_K in zip(
            matrix_aN.split_with_sizes(sizes, dim=1), self.rows_KD, self.bias_N, strict=True
        ):
            for tile in tiles(part_aK):
                yield part_aK[:, tile], rows_KD[tile].float(), bias_K[tile]

    def by_scope(self, matrix_aN: Tensor) -> Tensor:
        """View (a, S, n) of a matrix over the mini-batch's keys; with several scopes there are no others."""
        return matrix_aN.view(len(matrix_aN), self.keys.scopes, -1)

    @staticmethod
    def each(scope_a: Tensor) -> tuple[Tensor, Tensor]:
        """Index of each anchor's scope in `by_scope`."""
        return torch.arange(len(scope_a), device=scope_a.device), scope_a


def tiles(matrix_aN: Tensor) -> Iterator[slice]:
    """Column ranges that are processed at a time."""
    step = max(1, tile_similarities(matrix_aN.device.type) // max(1, len(matrix_aN)))
    return (slice(start, min(start + step, matrix_aN.shape[1])) for start in range(0, matrix_aN.shape[1], step))
