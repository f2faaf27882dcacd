"""The supervised losses, by name in `LOSSES`.   Axes: B batch, C classes, H W image, P pixels (B*H*W).

Each is a float32 mean over labelled pixels, a differentiable 0 if no pixel is labelled, and never synchronises with the
device. `Criterion` binds one of them to the settings of a trial.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor

from trainer.config import TrainConfig, setting
from trainer.data.source import IGNORE_INDEX
from trainer.plugins.entry import Entry, chosen

__all__ = ["LOSSES", "Criterion", "Loss", "LossSettings", "cross_entropy", "lovasz_softmax", "ohem"]

CROP_SHARE_KEPT = 16
"""If `loss.ohem_min_kept` is not set, at least one in this many pixels is kept."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LossSettings:
    """What the losses of `LOSSES` use besides logits and labels."""

    weight_C: Tensor | None = None
    threshold: float = 0.7
    min_kept: int = 1
    """Pixels per image."""
    lovasz_weight: float = 1.0
    progress: float = 0.0
    """Share of the optimiser steps that are done, 0 at the first."""


Loss: TypeAlias = Callable[[Tensor, Tensor, LossSettings], Tensor]
"""(logits_BCHW, label_BHW, settings) -> the loss, 0-d float32. Void pixels have the label `IGNORE_INDEX`."""


def pixel_mass(label_BHW: Tensor, weight_C: Tensor | None = None) -> Tensor:
    """The denominator of a mean over labelled pixels, 0-d: their number, or the sum of their class weights."""
    labelled_BHW = label_BHW != IGNORE_INDEX
    if weight_C is None:
        return labelled_BHW.sum()
    return (weight_C[label_BHW.where(labelled_BHW, 0)] * labelled_BHW).sum()


def pixel_losses(logits_BCHW: Tensor, label_BHW: Tensor, weight_C: Tensor | None, reduction: str) -> Tensor:
    """The (weighted) cross-entropy of each pixel, (B, H, W), or its sum; 0 for void pixels."""
    logits_BCHW = logits_BCHW.float()
    if torch.are_deterministic_algorithms_enabled():  # torch has a deterministic kernel for rows, not for maps
        rows_PC, label_P = logits_BCHW.permute(0, 2, 3, 1).flatten(0, 2), label_BHW.flatten()
        losses = F.cross_entropy(rows_PC, label_P, weight_C, ignore_index=IGNORE_INDEX, reduction=reduction)
        return losses.view_as(label_BHW) if reduction == "none" else losses
    return F.cross_entropy(logits_BCHW, label_BHW, weight_C, ignore_index=IGNORE_INDEX, reduction=reduction)


def cross_entropy(logits_BCHW: Tensor, label_BHW: Tensor, weight_C: Tensor | None = None) -> Tensor:
    """The mean over labelled pixels, weighted by class."""
    total = pixel_losses(logits_BCHW, label_BHW, weight_C, "sum")
    return total / pixel_mass(label_BHW, weight_C).clamp(min=1 if weight_C is None else 1e-12)


def ohem(logits_BCHW: Tensor, label_BHW: Tensor, settings: LossSettings) -> Tensor:
    """The cross-entropy of hard pixels only (online hard example mining, Shrivastava et al. 2016).

    A pixel is hard if its true class has a probability below `threshold`, or if it is among the `min_kept` per image
    (counted over the batch) with the lowest probability. If fewer pixels are labelled, all are kept.
    """
    labelled_BHW = label_BHW != IGNORE_INDEX
    with torch.no_grad():
        plain_BHW = pixel_losses(logits_BCHW, label_BHW, None, "none")
        probability_BHW = plain_BHW.neg().exp().masked_fill(~labelled_BHW, torch.inf)
        kept = min(settings.min_kept * len(label_BHW), label_BHW.numel())
        bound = probability_BHW.flatten().sort().values[kept - 1]
        hard_BHW = labelled_BHW & ((probability_BHW < settings.threshold) | (probability_BHW <= bound))
    return cross_entropy(logits_BCHW, label_BHW.where(hard_BHW, IGNORE_INDEX), settings.weight_C)


def lovasz_softmax(logits_BCHW: Tensor, label_BHW: Tensor) -> Tensor:
    """The Lovász-softmax loss, a surrogate of 1 - mIoU (Berman et al. 2018, equation 11 and algorithm 1).

    The mean over the classes present in the batch, over all labelled pixels of the batch. Void pixels have error 0:
    they are sorted last and contribute nothing.
    """
    label_P = label_BHW.flatten()
    labelled_P = label_P != IGNORE_INDEX
    probability_CP = logits_BCHW.float().softmax(dim=1).transpose(0, 1).flatten(1)
    losses, present = [], []
    for name, probability_P in enumerate(probability_CP):
        truth_P = label_P == name
        error_P = (truth_P.float() - probability_P).abs() * labelled_P
        sorted_P, order_P = error_P.sort(descending=True)
        losses.append(sorted_P @ lovasz_gradient(truth_P[order_P]))
        present.append(truth_P.any())
    present_C = torch.stack(present)
    return (torch.stack(losses) * present_C).sum() / present_C.sum().clamp(min=1)


def lovasz_gradient(truth_P: Tensor) -> Tensor:
    """The growth of the Jaccard loss with each additional wrong pixel, in the given order."""
    hits_P = truth_P.cumsum(0)  # integers, because cumulative float sums are not deterministic on CUDA
    union_P = truth_P.sum() + torch.arange(1, len(truth_P) + 1, device=truth_P.device) - hits_P
    jaccard_P = 1 - (truth_P.sum() - hits_P) / union_P
    return torch.cat([jaccard_P[:1], jaccard_P.diff()])


LOSSES: dict[str, Entry[Loss]] = {
    "ce": Entry(code=lambda logits_BCHW, label_BHW, settings: cross_entropy(logits_BCHW, label_BHW, settings.weight_C)),
    "ohem": Entry(code=ohem),
    "lovasz": Entry(code=lambda logits_BCHW, label_BHW, _: lovasz_softmax(logits_BCHW, label_BHW)),
    "ce_lovasz": Entry(
        code=lambda logits_BCHW, label_BHW, settings: (
            cross_entropy(logits_BCHW, label_BHW, settings.weight_C)
            + settings.lovasz_weight * lovasz_softmax(logits_BCHW, label_BHW)
        )
    ),
}
"""The values of `loss.kind`."""


class Criterion:
    """The loss of a trial: logits (B, C, H, W) and labels (B, H, W) to a 0-d float32 tensor."""

    def __init__(self, config: TrainConfig, device: torch.device) -> None:
        loss = config.loss
        weights = loss.class_weights
        height, width = config.data.crop
        self.loss: Loss = chosen(LOSSES, setting(loss, "kind"), loss.plugin)
        self.settings = LossSettings(
            weight_C=None if weights is None else torch.tensor(weights, dtype=torch.float32, device=device),
            threshold=setting(loss, "ohem_threshold"),
            min_kept=loss.ohem_min_kept or max(1, height * width // CROP_SHARE_KEPT),
            lovasz_weight=setting(loss, "lovasz_weight"),
        )

    def begin_step(self, progress: float) -> None:
        """Say which share of the steps is done, before a step."""
        self.settings = replace(self.settings, progress=progress)

    def __call__(self, logits_BCHW: Tensor, label_BHW: Tensor) -> Tensor:
        """The mean over the labelled pixels."""
        return self.loss(logits_BCHW, label_BHW, self.settings)

    def mass(self, label_BHW: Tensor) -> Tensor:
        """The denominator of the mean over these labels, 0-d."""
        return pixel_mass(label_BHW, self.settings.weight_C).float()
