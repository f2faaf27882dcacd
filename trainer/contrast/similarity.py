"""Similarities between a block of anchors and all keys, and the gradient through them.

Keys are read in tiles that fit a CPU's cache; a half-precision bank is converted to float32 tile by tile.
Axes: a anchors of one block, N keys in the numbering of `Keys`, M keys of one scope, P keys of one class in one scope,
j chosen keys, C classes, K rows per class of one block, S scopes, D embedding width.
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
        self.classes = keys.batch.valid_CK.shape[0]
        self.rows_KD = tuple(item.embedding_CKD.flatten(0, 1) for item in keys.blocks)
        self.bias_N = [
            torch.zeros_like(item.valid_CK, dtype=torch.float32).masked_fill_(~item.valid_CK, EXCLUDED).flatten()
            for item in keys.blocks
        ]
        device, width = self.bias_N[0].device, sum(len(rows_KD) for rows_KD in self.rows_KD)
        self.logit_aN = torch.empty(block, width + extra, device=device)[:, :width]
        per_scope = [self.classes * rows for rows in keys.rows]
        number_M = torch.arange(sum(per_scope), device=device)
        self.column_CP = torch.cat(
            [number_K.view(self.classes, -1) for number_K in number_M.split_with_sizes(per_scope)], dim=1
        )
        """Numbers of the keys of each class, 0..M-1."""
        self.valid_SC = keys.count_valid()

    def logits(self, anchor_aD: Tensor, scope_a: Tensor) -> Tensor:
        """Dot products (a, M) with the keys of each anchor's scope; `EXCLUDED` where a key is invalid."""
        logit_aN = self.logit_aN[: len(anchor_aD)]
        for out_aK, rows_KD, bias_K in self.parts(logit_aN):
            torch.addmm(bias_K, anchor_aD, rows_KD.T, out=out_aK)
        return logit_aN if self.keys.scopes == 1 else self.by_scope(logit_aN)[self.each(scope_a)].flatten(1)

    def gradients(self, slope_aM: Tensor, anchor_aD: Tensor, scope_a: Tensor) -> tuple[Tensor, Tensor]:
        """Gradients (a, D) of the anchors and (K, D) of the mini-batch's keys, from the gradients of the logits."""
        slope_aN = slope_aM
        if self.keys.scopes > 1:
            slope_aN = self.logit_aN[: len(slope_aM)].zero_()
            self.by_scope(slope_aN)[self.each(scope_a)] = slope_aM.view(len(slope_aM), self.classes, -1)
        grad_aD = torch.zeros_like(anchor_aD)
        for part_aK, rows_KD, _ in self.parts(slope_aN):
            grad_aD.addmm_(part_aK, rows_KD)
        return grad_aD, slope_aN[:, : len(self.rows_KD[0])].T @ anchor_aD

    def sparse_gradients(self, slope_aj: Tensor, column_aj: Tensor, anchor_aD: Tensor) -> tuple[Tensor, Tensor]:
        """The same from the gradients of the chosen keys' logits only; single scope."""
        grad_aD, grad_KD, start = torch.zeros_like(anchor_aD), torch.zeros_like(self.rows_KD[0]), 0
        for number, rows_KD in enumerate(self.rows_KD):
            is_here_aj = (column_aj >= start) & (column_aj < start + len(rows_KD))
            here_aj, part_aj = (column_aj - start) * is_here_aj, slope_aj * is_here_aj
            if number == 0:
                slope_aK = slope_aj.new_zeros(len(slope_aj), len(rows_KD)).scatter_add_(1, here_aj, part_aj)
                grad_aD, grad_KD = slope_aK @ rows_KD, slope_aK.T @ anchor_aD
            else:
                grad_aD += F.embedding_bag(here_aj, rows_KD, per_sample_weights=part_aj, mode="sum")
            start += len(rows_KD)
        return grad_aD, grad_KD

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
        """View (a, C, S, K) of a matrix over the mini-batch's keys; with several scopes there are no others."""
        return matrix_aN.view(len(matrix_aN), self.classes, self.keys.scopes, -1)

    @staticmethod
    def each(scope_a: Tensor) -> tuple[Tensor, slice, Tensor]:
        """Index of each anchor's scope in `by_scope`."""
        return torch.arange(len(scope_a), device=scope_a.device), slice(None), scope_a


def tiles(matrix_aN: Tensor) -> Iterator[slice]:
    """Column ranges that are processed at a time."""
    step = max(1, tile_similarities(matrix_aN.device.type) // max(1, len(matrix_aN)))
    return (slice(start, min(start + step, matrix_aN.shape[1])) for start in range(0, matrix_aN.shape[1], step))
