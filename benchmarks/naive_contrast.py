"""A straightforward contrastive loss: loops over classes, sorts candidates and leaves the rest to autograd.

Axes: a anchors of a class, M keys, P positives and N negatives of a class, D embedding width.
"""

from __future__ import annotations

import torch
from torch import Tensor

from trainer.config import MiningConfig
from trainer.contrast import PixelContrast
from trainer.contrast.keys import Keys

__all__ = ["class_by_class"]


def own_keys(keys: Keys, number: int) -> tuple[Tensor, Tensor]:
    """Embeddings and pixels of the mini-batch's keys of class `number`; single scope."""
    slots = keys.batch.slots
    first = int(slots.first_SC[0, number])
    rows = slice(first, first + int(slots.count_SC[0, number]))
    return keys.batch.embedding_ND[rows], slots.position_N[rows]


def class_by_class(
    module: PixelContrast, batch: tuple[Tensor, Tensor, Tensor], mining: MiningConfig, generator: torch.Generator
) -> Tensor:
    """Mean of equation 3 over the anchors that `module` would draw, with the hardest candidates of each.

    For each class, sorts the similarities with its own keys (lowest first) and with the keys of all other classes
    (highest first), and takes -log(exp(p) / (exp(p) + sum_n exp(n))) of the first `positives` and `negatives`, by
    log-sum-exp.
    """
    embedding_BDhw, label_BHW, prediction_BHW = batch
    label_Nhw, prediction_Nhw = (item[:, 2::4, 2::4] for item in (label_BHW, prediction_BHW))
    size_hw = (embedding_BDhw.shape[2], embedding_BDhw.shape[3])
    context = module.context(label_Nhw, prediction_Nhw, size_hw, generator)
    anchors, keys = module.candidates(embedding_BDhw, context)[:2]
    losses = []
    for c in range(module.classes):
        own_aD = anchors.embedding_AD[(anchors.class_A == c) & anchors.valid_A]
        position_a = anchors.position_A[(anchors.class_A == c) & anchors.valid_A]
        negatives = []
        for k in range(module.classes):
            key_KD = torch.cat(
                [own_keys(keys, k)[0], *(block.embedding_CKD[k][block.valid_CK[k]] for block in keys.bank)]
            )
            logit_aK = own_aD @ key_KD.T / module.config.temperature
            if k != c:
                negatives.append(logit_aK)
                continue
            in_batch = own_keys(keys, c)[1]
            is_self_aK = torch.zeros_like(logit_aK, dtype=torch.bool)
            is_self_aK[:, : len(in_batch)] = in_batch == position_a[:, None]
            positive_aP = logit_aK.masked_fill(is_self_aK, torch.inf).sort(dim=1).values[:, : mining.positives]
        negative_aN = torch.cat(negatives, dim=1).sort(dim=1, descending=True).values[:, : mining.negatives]
        loss_aP = torch.logaddexp(positive_aP, negative_aN.logsumexp(1, keepdim=True)) - positive_aP
        is_legal_aP = positive_aP.isfinite()
        losses.append(loss_aP.where(is_legal_aP, 0).sum(1) / is_legal_aP.sum(1).clamp(min=1))
    return torch.cat(losses).mean()
