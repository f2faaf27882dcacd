"""Pixel InfoNCE over mined positives and negatives (paper, equation 3), in bounded memory.

The similarities of a block of anchors are computed, mined, turned into their loss and into their gradient, and
dropped before the next block: nothing as large as anchors x bank rows is ever kept for the backward pass.
Axes: A anchors, a anchors of one block, N candidates, P positives and Q negatives of an anchor, D embedding width.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from trainer.config import MiningConfig
from trainer.contrast.keys import Keys
from trainer.contrast.mining import MINERS, Selection

__all__ = ["Anchors", "MinedLoss", "info_nce", "mined_info_nce"]

BLOCK_SIMILARITIES = 2**22
"""Similarities held at a time, 16 MiB in float32, ..."""

BLOCK_ANCHORS = 128
"""... or those of so many anchors if that is more: the whole bank is read once for every block."""

ABSENT = -1e30
"""Logit of a missing negative: its exponential is exactly 0 and, unlike minus infinity, it gives no NaN."""


@dataclass(frozen=True, slots=True)
class Anchors:
    """Pixels whose loss is taken."""

    embedding_AD: Tensor
    class_A: Tensor
    position_A: Tensor
    """Flat pixel of the mini-batch."""
    scope_A: Tensor
    """Scope of `Keys.column_SCM` the anchor looks at."""
    valid_A: Tensor


@dataclass(frozen=True, slots=True)
class MinedLoss:
    """Outcome for all anchors; every field a 0-d float32 tensor."""

    loss: Tensor
    """Mean over the anchors that have a positive; a zero with a gradient of zero where there is none."""
    anchors: Tensor
    """Anchors with at least one positive."""
    positives: Tensor
    """Mean number of positives of these anchors."""
    negatives: Tensor
    positive_similarity: Tensor
    """Mean cosine of these anchors with their chosen positives."""
    negative_similarity: Tensor


def info_nce(positive_AP: Tensor, is_positive_AP: Tensor, negative_AQ: Tensor, is_negative_AQ: Tensor) -> Tensor:
    """Loss of each anchor (A,) from its logits (similarity / temperature), in float32.

    Mean over positives p of -log(exp(p) / (exp(p) + sum_n exp(n))) = softplus(logsumexp(n) - p): one positive at a
    time against all negatives, which is not SupCon. It is not multiplied by the temperature. An anchor without
    positives gives 0; so does one without negatives, since -log(exp(p) / exp(p)) = 0. Both are differentiable.
    """
    absent_AQ = negative_AQ.float().masked_fill(~is_negative_AQ, ABSENT)
    negative_A1 = absent_AQ.logsumexp(dim=1, keepdim=True)
    term_AP = F.softplus(negative_A1 - positive_AP.float()) * is_positive_AP
    return term_AP.sum(1) / is_positive_AP.sum(1).clamp(min=1)


def mined_info_nce(
    anchors: Anchors, keys: Keys, mining: MiningConfig, temperature: float, generator: torch.Generator
) -> MinedLoss:
    """Mean pixel InfoNCE of `anchors` against the candidates that `mining` chooses for each of them."""
    apply = cast(Any, _BlockwiseInfoNCE.apply)
    loss, sums = apply(anchors.embedding_AD, keys.blocks_KD[0], anchors, keys, mining, temperature, generator)
    used, positives, negatives, positive_sum, negative_sum = sums.unbind()
    per_anchor = used.clamp(min=1)
    return MinedLoss(
        loss=loss / per_anchor,
        anchors=used,
        positives=positives / per_anchor,
        negatives=negatives / per_anchor,
        positive_similarity=positive_sum / positives.clamp(min=1),
        negative_similarity=negative_sum / negatives.clamp(min=1),
    )


class _BlockwiseInfoNCE(torch.autograd.Function):
    """Sum of the anchors' losses; its gradient is worked out in the forward pass, while the similarities exist."""

    @staticmethod
    def forward(
        ctx: Any,
        anchor_AD: Tensor,
        batch_ND: Tensor,
        anchors: Anchors,
        keys: Keys,
        mining: MiningConfig,
        temperature: float,
        generator: torch.Generator,
    ) -> tuple[Tensor, Tensor]:
        grad_anchor_AD, grad_batch_ND = torch.zeros_like(anchor_AD), torch.zeros_like(batch_ND)
        loss, sums = anchor_AD.new_zeros(()), anchor_AD.new_zeros(5)
        step = max(BLOCK_ANCHORS, BLOCK_SIMILARITIES // len(keys.valid_N))
        buffer_aN = anchor_AD.new_empty(min(step, len(anchor_AD)), len(keys.valid_N))
        for start in range(0, len(anchor_AD), step):
            rows = slice(start, start + step)
            similarity_aN = multiply(anchor_AD[rows], keys.blocks_KD, buffer_aN[: len(anchor_AD[rows])])
            positives, negatives = mine(similarity_aN, anchors, rows, keys, mining, generator)
            positive_aP = similarity_aN.gather(1, positives.index_AK).requires_grad_()
            negative_aQ = similarity_aN.gather(1, negatives.index_AK).requires_grad_()
            used_a = anchors.valid_A[rows] & (count(positives.valid_AK) > 0)
            with torch.enable_grad():
                loss_a = info_nce(
                    positive_aP / temperature, positives.valid_AK, negative_aQ / temperature, negatives.valid_AK
                )
                block_loss = (loss_a * used_a).sum()
                slope_aP, slope_aQ = torch.autograd.grad(block_loss, (positive_aP, negative_aQ))
            loss += block_loss.detach()
            sums += summary(used_a, positives, positive_aP.detach(), negatives, negative_aQ.detach())
            # Positives last: an unfilled slot of the negatives may point at a column of the anchor's class.
            slope_aN = similarity_aN.zero_()
            slope_aN.scatter_(1, negatives.index_AK, slope_aQ).scatter_(1, positives.index_AK, slope_aP)
            for slope_aK, block_KD in zip(split(slope_aN, keys.blocks_KD), keys.blocks_KD, strict=True):
                grad_anchor_AD[rows].addmm_(slope_aK, block_KD)
            grad_batch_ND.addmm_(slope_aN[:, : len(batch_ND)].T, anchor_AD[rows])
        ctx.save_for_backward(grad_anchor_AD, grad_batch_ND)
        ctx.mark_non_differentiable(sums)
        return loss, sums

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_loss: Tensor, grad_sums: Tensor) -> tuple[Tensor | None, ...]:
        del grad_sums
        grad_anchor_AD, grad_batch_ND = ctx.saved_tensors
        return grad_loss * grad_anchor_AD, grad_loss * grad_batch_ND, None, None, None, None, None


def mine(
    similarity_aN: Tensor,
    anchors: Anchors,
    rows: slice,
    keys: Keys,
    mining: MiningConfig,
    generator: torch.Generator,
) -> tuple[Selection, Selection]:
    """Positives and negatives of a block of anchors, as columns of `similarity_aN`.

    Positives share the anchor's class but not its pixel; negatives are of another class.
    """
    miner, fraction = MINERS[mining.kind], mining.hard_fraction
    class_a, scope_a = anchors.class_A[rows], anchors.scope_A[rows]
    column_aM = keys.column_SCM[scope_a, class_a]
    legal_aM = keys.valid_N[column_aM] & (keys.position_N[column_aM] != anchors.position_A[rows, None])
    hardness_aM = -similarity_aN.gather(1, column_aM)
    positives = miner(hardness_aM, legal_aM, mining.positives, fraction, generator)
    positives = Selection(column_aM.gather(1, positives.index_AK), positives.valid_AK)
    if len(keys.column_SCM) == 1:
        legal_aN = keys.valid_N & (keys.class_N != class_a[:, None])
        return positives, miner(similarity_aN, legal_aN, mining.negatives, fraction, generator)
    column_aM = keys.column_SCM.flatten(1)[scope_a]
    legal_aM = keys.valid_N[column_aM] & (keys.class_N[column_aM] != class_a[:, None])
    negatives = miner(similarity_aN.gather(1, column_aM), legal_aM, mining.negatives, fraction, generator)
    return positives, Selection(column_aM.gather(1, negatives.index_AK), negatives.valid_AK)


def multiply(anchor_aD: Tensor, blocks_KD: tuple[Tensor, ...], out_aN: Tensor) -> Tensor:
    """Similarities of the anchors with all blocks of keys, written side by side into `out_aN`."""
    for out_aK, block_KD in zip(split(out_aN, blocks_KD), blocks_KD, strict=True):
        torch.mm(anchor_aD, block_KD.T, out=out_aK)
    return out_aN


def split(matrix_aN: Tensor, blocks_KD: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """The columns of each block of keys, as views."""
    return matrix_aN.split_with_sizes([len(block_KD) for block_KD in blocks_KD], dim=1)


def count(flag_AK: Tensor) -> Tensor:
    """Flags set in each row, (A,); a sum over bytes runs an order of magnitude faster on a CPU than one over bools."""
    return flag_AK.view(torch.uint8).sum(1, dtype=torch.int32)


def summary(
    used_a: Tensor, positives: Selection, positive_aP: Tensor, negatives: Selection, negative_aQ: Tensor
) -> Tensor:
    """Sums over the used anchors: anchors, positives, negatives, and the similarities of either; (5,)."""
    sums_5a = torch.stack(
        [
            torch.ones_like(positive_aP[:, 0]),
            count(positives.valid_AK).to(positive_aP.dtype),
            count(negatives.valid_AK).to(positive_aP.dtype),
            (positive_aP * positives.valid_AK).sum(1),
            (negative_aQ * negatives.valid_AK).sum(1),
        ]
    )
    return (sums_5a * used_a).sum(1)
