"""Pixel InfoNCE over mined positives and negatives (paper, equation 3), in bounded memory.

Anchors are processed in blocks. The similarities of a block are computed, mined, reduced to loss and gradient, and
freed before the next block, so the backward pass keeps nothing of size anchors x bank rows.
Axes: A anchors, a anchors of one block, M candidates, P positives and Q negatives of an anchor, j both, D embedding
width.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from trainer.block_size import anchors_at_a_time, extra_columns
from trainer.config import MiningConfig
from trainer.contrast.keys import Keys
from trainer.contrast.mining import EXCLUDED, MINERS, Miner, MiningContext, Selection, is_legal
from trainer.contrast.similarity import SimilarityMatrix, tiles
from trainer.plugins.entry import chosen

__all__ = ["Anchors", "MinedLoss", "info_nce", "mined_info_nce"]


@dataclass(frozen=True, slots=True)
class Anchors:
    """Pixels whose loss is computed."""

    embedding_AD: Tensor
    class_A: Tensor
    position_A: Tensor
    """Flat pixel index in the mini-batch."""
    scope_A: Tensor
    """Scope of `Keys` that the anchor is compared with."""
    valid_A: Tensor
    excluded_A: Tensor | None = None
    """Number, in `Keys`, of a key that is not a positive of the anchor, but may be a negative; -1: none. Single scope
    only; used by `as_released`."""

    def block(self, rows: slice) -> Anchors:
        """A slice of the anchors, as views."""
        values = {item.name: getattr(self, item.name) for item in fields(self)}
        part: dict[str, Any] = {name: None if value is None else value[rows] for name, value in values.items()}
        return Anchors(**part)


@dataclass(frozen=True, slots=True)
class MinedLoss:
    """Loss and statistics over all anchors; every field is a 0-d float32 tensor. A mean over nothing is NaN."""

    loss: Tensor
    """Mean over the anchors that have a positive; a differentiable zero if there is none."""
    anchors: Tensor
    """Anchors with at least one positive."""
    positives: Tensor
    """Mean number of positives of these anchors."""
    negatives: Tensor
    positive_similarity: Tensor
    """Mean cosine similarity of these anchors to their chosen positives."""
    negative_similarity: Tensor


def info_nce(positive_AP: Tensor, is_positive_AP: Tensor, negative_A1: Tensor) -> tuple[Tensor, Tensor]:
    """Loss of each anchor (A,) and the pull of each positive (A, P), from logits (similarity / temperature).

    `negative_A1` is the log-sum-exp of the negatives' logits, `EXCLUDED` for none. The loss is the mean over positives
    p of -log(exp(p) / (exp(p) + sum_n exp(n))) = softplus(logsumexp(n) - p): one positive at a time against all
    negatives, unlike SupCon. It is not multiplied by the temperature. The derivative by a positive's logit is minus its
    pull; the derivative by `negative_A1` is the sum of the pulls. Without positives the loss is 0; without negatives
    as well, since -log(exp(p) / exp(p)) = 0. All pulls are then 0.
    """
    share_AP = is_positive_AP / count(is_positive_AP).clamp(min=1)[:, None]
    gap_AP = negative_A1 - positive_AP
    return (F.softplus(gap_AP) * share_AP).sum(1), gap_AP.sigmoid() * share_AP


def mined_info_nce(
    anchors: Anchors,
    keys: Keys,
    mining: MiningConfig,
    temperature: float,
    generator: torch.Generator,
    progress: float = 0.0,
) -> MinedLoss:
    """Mean pixel InfoNCE of `anchors` against the candidates that `mining` chooses for each anchor.

    If the mini-batch has any keys, the class of every valid anchor has one in its scope. `progress`: as in
    `MiningContext`.
    """
    apply = cast(Any, _BlockwiseInfoNCE.apply)
    mine = BlockMiner(mining, generator, progress)
    loss, sums = apply(anchors.embedding_AD, keys.batch.embedding_ND, anchors, keys, mine, temperature)
    used, positives, negatives, positive_sum, negative_sum = sums.unbind()
    return MinedLoss(
        loss=loss / used.clamp(min=1),
        anchors=used,
        positives=positives / used,
        negatives=negatives / used,
        positive_similarity=positive_sum / positives * temperature,
        negative_similarity=negative_sum / negatives * temperature,
    )


class BlockMiner:
    """The miner of a trial at one step."""

    def __init__(self, config: MiningConfig, generator: torch.Generator, progress: float) -> None:
        self.config = config
        self.generator = generator
        self.progress = progress
        self.miner: Miner = chosen(MINERS, config.kind, config.plugin)

    def __call__(self, hardness_AM: Tensor, legal_A: Tensor, *, positives: bool) -> Selection | None:
        """The chosen positives or negatives of a block of anchors; None for all of them."""
        config = self.config
        return self.miner(
            MiningContext(
                hardness_AM=hardness_AM,
                legal_A=legal_A,
                count=config.positives if positives else config.negatives,
                hard_fraction=config.hard_fraction,
                generator=self.generator,
                positives=positives,
                progress=self.progress,
            )
        )


class _BlockwiseInfoNCE(torch.autograd.Function):
    """Sum of the anchors' losses; the forward pass computes the gradient too, while the similarities exist."""

    @staticmethod
    def forward(
        ctx: Any,
        anchor_AD: Tensor,
        batch_ND: Tensor,
        anchors: Anchors,
        keys: Keys,
        mine: BlockMiner,
        temperature: float,
    ) -> tuple[Tensor, Tensor]:
        scaled_AD = anchor_AD / temperature
        grad_AD, grad_ND = torch.empty_like(anchor_AD), torch.zeros_like(batch_ND)
        loss, sums = anchor_AD.new_zeros(()), anchor_AD.new_zeros(5)
        candidates = len(batch_ND) + sum(block.valid_CK.numel() for block in keys.bank)
        step = anchors_at_a_time(len(anchor_AD), candidates, anchor_AD.device.type)
        extra = extra_columns(mine.config.kind, candidates, mine.config.hard_fraction) if keys.scopes == 1 else 0
        matrix = SimilarityMatrix(keys, step, extra)
        for start in range(0, len(anchor_AD), step):
            rows = slice(start, start + step)
            loss_of_block, sums_of_block, grad_aD = block_loss(
                scaled_AD[rows], anchors.block(rows), matrix, grad_ND, mine
            )
            loss += loss_of_block
            sums += sums_of_block
            grad_AD[rows] = grad_aD / temperature
        ctx.save_for_backward(grad_AD, grad_ND)
        ctx.mark_non_differentiable(sums)
        return loss, sums

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_loss: Tensor, grad_sums: Tensor) -> tuple[Tensor | None, ...]:
        del grad_sums
        grad_AD, grad_ND = ctx.saved_tensors
        return grad_loss * grad_AD, grad_loss * grad_ND, None, None, None, None


def block_loss(
    scaled_aD: Tensor,
    anchors: Anchors,
    matrix: SimilarityMatrix,
    grad_ND: Tensor,
    mine: BlockMiner,
) -> tuple[Tensor, Tensor, Tensor]:
    """Loss (), sums of `block_sums` (5,), and gradient (a, D) for one block of anchors; that of the keys is added up.

    Positives have the anchor's class but another pixel; negatives have another class.
    """
    class_a, scope_a = anchors.class_A, anchors.scope_A
    logit_aM = matrix.logits(scaled_aD, scope_a)
    own_aP, positive_aP = own_class(logit_aM, anchors, matrix)
    legal_a = matrix.valid_SC.sum(1)[scope_a] - matrix.valid_SC[scope_a, class_a]
    legal_aP = is_legal(positive_aP)
    positives = mine((-positive_aP).masked_fill_(~legal_aP, EXCLUDED), count(legal_aP), positives=True)
    column_aP = own_aP
    if positives is not None:
        legal_aP = positives.valid_AK
        positive_aP, column_aP = (item.gather(1, positives.index_AK) for item in (positive_aP, own_aP))

    logit_aM.scatter_(1, own_aP, EXCLUDED)
    del own_aP
    negatives = mine(logit_aM, legal_a, positives=False)
    if negatives is None:
        chosen_a, logit_sum_a, negative_aQ = legal_a, legal_sum(logit_aM), logit_aM
    else:
        chosen_a = count(negatives.valid_AK)
        negative_aQ = logit_aM.gather(1, negatives.index_AK).masked_fill_(~negatives.valid_AK, EXCLUDED)
        logit_sum_a = legal_sum(negative_aQ)
    negative_a1, total_a1 = exponentials_(negative_aQ)

    used_a = anchors.valid_A & legal_aP.any(1)
    loss_a, pull_aP = info_nce(positive_aP, legal_aP, negative_a1)
    pull_aP *= used_a[:, None]
    sums = block_sums(used_a, count(legal_aP), chosen_a, legal_sum(positive_aP.where(legal_aP, EXCLUDED)), logit_sum_a)
    slope_aQ = negative_aQ.mul_(pull_aP.sum(1, keepdim=True) / total_a1)
    if negatives is None:
        slope_aM = slope_aQ.scatter_add_(1, column_aP, -pull_aP)
        return (loss_a * used_a).sum(), sums, matrix.add_gradients(slope_aM, scaled_aD, scope_a, grad_ND)
    slope_aj = torch.cat([slope_aQ, -pull_aP], dim=1)
    column_aj = torch.cat([negatives.index_AK, column_aP], dim=1)
    if matrix.pays_sparse(column_aj.shape[1]):
        return (loss_a * used_a).sum(), sums, matrix.add_sparse_gradients(slope_aj, column_aj, scaled_aD, grad_ND)
    slope_aM = logit_aM.zero_().scatter_add_(1, column_aj, slope_aj)
    return (loss_a * used_a).sum(), sums, matrix.add_gradients(slope_aM, scaled_aD, scope_a, grad_ND)


def own_class(logit_aM: Tensor, anchors: Anchors, matrix: SimilarityMatrix) -> tuple[Tensor, Tensor]:
    """Numbers (a, P) of all keys of each anchor's class, and their logits, `EXCLUDED` where they are no positive."""
    column_aK, is_positive_aK = matrix.batch_columns(anchors.class_A, anchors.scope_A, anchors.position_A)
    own_aP = torch.cat([column_aK, matrix.bank_columns(anchors.class_A)], dim=1)
    positive_aP = logit_aM.gather(1, own_aP)
    positive_aP[:, : column_aK.shape[1]].masked_fill_(~is_positive_aK, EXCLUDED)
    if anchors.excluded_A is not None:
        positive_aP.masked_fill_(own_aP == anchors.excluded_A[:, None], EXCLUDED)
    return own_aP, positive_aP


def exponentials_(logit_aM: Tensor) -> tuple[Tensor, Tensor]:
    """Replace logits by exp(logit - maximum) in place; return log-sum-exp (`EXCLUDED` if all are) and sum, (a, 1)."""
    highest_a1 = logit_aM.amax(1, keepdim=True)
    total_a1 = torch.zeros_like(highest_a1)
    for tile in tiles(logit_aM):
        total_a1 += logit_aM[:, tile].sub_(highest_a1).exp_().sum(1, keepdim=True)
    return highest_a1 + total_a1.log(), total_a1


def legal_sum(logit_aM: Tensor) -> Tensor:
    """Sum of the logits that are not excluded, (a,)."""
    parts = [F.threshold(logit_aM[:, tile], EXCLUDED / 2, 0.0).sum(1) for tile in tiles(logit_aM)]
    return torch.stack(parts).sum(0)


def count(flag_AK: Tensor) -> Tensor:
    """Number of True values per row, (A,). Summing bytes is ten times faster on a CPU than summing bools."""
    return flag_AK.view(torch.uint8).sum(1, dtype=torch.int32)


def block_sums(
    used_a: Tensor, positives_a: Tensor, negatives_a: Tensor, positive_a: Tensor, negative_a: Tensor
) -> Tensor:
    """Sums over the used anchors: anchors, positives, negatives, logits of positives, logits of negatives; (5,)."""
    sums_5a = torch.stack([torch.ones_like(positive_a), positives_a, negatives_a, positive_a, negative_a])
    return (sums_5a * used_a).sum(1)
