"""Anchors: the pixels of a mini-batch whose contrastive loss is computed (paper, section 3.3).

Axes: N images of all ranks, h w embedding map, P pixels (N*h*w), C classes, A slots per class. Shapes are static:
(C, per_class) slots with a validity mask. To add a sampler, write a function like `hard_anchors`, in a plugin
(docs/own_method.md) or here with a line in `ANCHOR_SAMPLERS` and in `AnchorConfig.kind`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor

from trainer.contrast.groups import Slots, sample_groups
from trainer.plugins.entry import Entry

__all__ = ["ANCHOR_SAMPLERS", "AnchorContext", "AnchorSampler", "hard_anchors", "random_anchors", "skip_thin_classes"]


@dataclass(frozen=True, kw_only=True, slots=True)
class AnchorContext:
    """What a sampler chooses from: the mini-batch of all ranks, at the size of the embedding map."""

    label_Nhw: Tensor
    """int64; ids outside 0..classes-1 are void."""
    prediction_Nhw: Tensor
    """int64; the class with the largest logit."""
    classes: int
    per_class: int
    """Number of slots of each class."""
    generator: torch.Generator
    """The only source of random numbers, on the device of the labels."""
    progress: float = 0.0
    """Share of the optimiser steps that are done, 0 at the first."""

    @property
    def label_P(self) -> Tensor:  # noqa: N802 - named after its axis
        """Labels of the pixels, image after image, row after row; `Slots` count pixels in this order."""
        return self.label_Nhw.flatten()

    @property
    def prediction_P(self) -> Tensor:  # noqa: N802 - named after its axis
        """Predictions in the same order."""
        return self.prediction_Nhw.flatten()


AnchorSampler: TypeAlias = Callable[[AnchorContext], Slots]
"""From the mini-batch to positions of pixels in slots (C, per_class)."""


def random_anchors(context: AnchorContext) -> Slots:
    """Random labelled pixels of each class; ignores the predictions."""
    return sample_groups(context.label_P, context.classes, context.per_class, generator=context.generator)


def hard_anchors(context: AnchorContext) -> Slots:
    """Half of a class's anchors (rounded up) are misclassified pixels, the rest random other pixels of the class.

    If one half has too few pixels, the other fills up the slots. No pixel is chosen twice.
    """
    label_P, prediction_P, generator = context.label_P, context.prediction_P, context.generator
    classes, per_class = context.classes, context.per_class
    misclassified_P = torch.where(prediction_P != label_P, label_P, classes)
    reserved = sample_groups(misclassified_P, classes, (per_class + 1) // 2, generator=generator)
    reserved_P = torch.zeros_like(label_P).index_add_(
        0, reserved.index_Gk.flatten(), reserved.valid_Gk.flatten().to(label_P.dtype)
    )
    return sample_groups(label_P, classes, per_class, generator=generator, first_P=reserved_P > 0)


ANCHOR_SAMPLERS: dict[str, Entry[AnchorSampler]] = {
    "random": Entry(code=random_anchors),
    "hard": Entry(code=hard_anchors),
}
"""The values of `AnchorConfig.kind`."""


def skip_thin_classes(label_P: Tensor, classes: int, min_pixels: int) -> tuple[Tensor, Tensor]:
    """Classes that may have anchors, bool (C,), and the share of the present classes that are skipped, 0-d, or NaN.

    The released rule, more than 100 pixels per image, drops thin and rare classes first (docs/released_code.md, 13).
    """
    pixels_C = (label_P == torch.arange(classes, device=label_P.device)[:, None]).sum(1)
    present_C = pixels_C > 0
    kept_C = pixels_C >= min_pixels
    skipped = (present_C & ~kept_C).sum() / present_C.sum()
    return kept_C, skipped
