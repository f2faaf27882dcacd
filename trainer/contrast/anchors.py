"""Anchors: the pixels of a mini-batch whose contrastive loss is computed (paper, section 3.3).

Axes: P pixels, C classes, A slots per class. Shapes are static: (C, per_class) slots with a validity mask.
To add a sampler, write a function like `hard_anchors` and add it to `ANCHOR_SAMPLERS` and `AnchorConfig.kind`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import torch
from torch import Tensor

from trainer.contrast.groups import Slots, sample_groups

__all__ = ["ANCHOR_SAMPLERS", "AnchorSampler", "hard_anchors", "random_anchors", "skip_thin_classes"]

AnchorSampler: TypeAlias = Callable[[Tensor, Tensor, int, int, torch.Generator], Slots]
"""(label_P, prediction_P, classes, per_class, generator) -> positions in slots (C, per_class)."""


def random_anchors(
    label_P: Tensor, prediction_P: Tensor, classes: int, per_class: int, generator: torch.Generator
) -> Slots:
    """Random labelled pixels of each class; ignores `prediction_P`."""
    del prediction_P
    return sample_groups(label_P, classes, per_class, generator=generator)


def hard_anchors(
    label_P: Tensor, prediction_P: Tensor, classes: int, per_class: int, generator: torch.Generator
) -> Slots:
    """Half of a class's anchors (rounded up) are misclassified pixels, the rest random other pixels of the class.

    If one half has too few pixels, the other fills up the slots. No pixel is chosen twice.
    """
    misclassified_P = torch.where(prediction_P != label_P, label_P, classes)
    reserved = sample_groups(misclassified_P, classes, (per_class + 1) // 2, generator=generator)
    reserved_P = torch.zeros_like(label_P).index_add_(
        0, reserved.index_Gk.flatten(), reserved.valid_Gk.flatten().to(label_P.dtype)
    )
    return sample_groups(label_P, classes, per_class, generator=generator, first_P=reserved_P > 0)


ANCHOR_SAMPLERS: dict[str, AnchorSampler] = {"random": random_anchors, "hard": hard_anchors}
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
