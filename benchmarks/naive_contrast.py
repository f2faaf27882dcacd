"""The contrastive loss as one writes it first: a loop over classes, each dense over all keys, left to autograd.

Axes: a anchors of a class, M keys, D embedding width, K keys of a class in a block.
"""

from __future__ import annotations

import torch
from torch import Tensor

from trainer.contrast import PixelContrast

__all__ = ["class_by_class"]


def class_by_class(module: PixelContrast, batch: tuple[Tensor, Tensor, Tensor], generator: torch.Generator) -> Tensor:
    """Mean of equation 3 over the anchors that `module` would draw, without mining.

    Of each class: all similarities, a mask of its positives and one of its negatives, and
    -log(exp(p) / (exp(p) + sum_n exp(n))) for every key, of which the positives are kept.
    """
    embedding_BDhw, label_BHW, prediction_BHW = batch
    label_P, prediction_P = (item[:, 2::4, 2::4].flatten() for item in (label_BHW, prediction_BHW))
    anchors, keys = module.candidates(embedding_BDhw, label_P, prediction_P, generator)[:2]
    key_MD = torch.cat([block.embedding_CKD.flatten(0, 1).float() for block in keys.blocks])
    legal_M = torch.cat([block.valid_CK.flatten() for block in keys.blocks])
    classes = torch.arange(module.classes, device=key_MD.device)
    class_M = torch.cat([classes.repeat_interleave(block.valid_CK.shape[1]) for block in keys.blocks])
    position_M = torch.full_like(class_M, -1)
    position_M[: keys.position_CK.numel()] = keys.position_CK.flatten()
    losses = []
    for c in range(module.classes):
        is_own_A = (anchors.class_A == c) & anchors.valid_A
        if not is_own_A.any():
            continue
        logit_aM = anchors.embedding_AD[is_own_A] @ key_MD.T / module.config.temperature
        is_other_aM = position_M[None] != anchors.position_A[is_own_A][:, None]
        positive_aM = ((class_M == c) & legal_M)[None] & is_other_aM
        negative_aM = ((class_M != c) & legal_M)[None].expand_as(positive_aM)
        exp_aM = logit_aM.exp()
        negative_a1 = (exp_aM * negative_aM).sum(1, keepdim=True)
        log_share_aM = logit_aM - (exp_aM + negative_a1).log()
        losses.append(-(log_share_aM * positive_aM).sum(1) / positive_aM.sum(1).clamp(min=1))
    return torch.cat(losses).mean()
