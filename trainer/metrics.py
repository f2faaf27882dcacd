"""Segmentation metrics from a confusion matrix.   Axes: C classes; rows are truth, columns prediction."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from trainer.data.source import IGNORE_INDEX

__all__ = ["Scores", "confusion", "score"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Scores:
    """Metrics of one split, each in 0..1."""

    miou: float
    """Mean of `iou` over the classes that occur in truth or prediction."""
    pixel_accuracy: float
    """Share of labelled pixels with the correct prediction."""
    mean_accuracy: float
    """Mean, over the classes that occur in the truth, of the share of their pixels with the correct prediction."""
    iou: tuple[float | None, ...]
    """Intersection over union per class; None for a class that occurs neither in truth nor in prediction."""
    pixels: tuple[tuple[int, ...], ...]
    """The confusion matrix: number of pixels of the row's class that were predicted as the column's class."""


def confusion(label: Tensor, prediction: Tensor, classes: int) -> Tensor:
    """Count pixels: entry (t, p) of the (C, C) int64 result is the number of pixels of class t predicted as p.

    Both arguments are int64 and of equal shape. Pixels labelled IGNORE_INDEX are not counted. Raises ValueError for a
    label of `classes` or more.
    """
    valid = label != IGNORE_INDEX
    pairs = torch.bincount(label[valid] * classes + prediction[valid], minlength=classes**2)
    if pairs.numel() > classes**2:
        raise ValueError(f"labels must be in 0..{classes - 1} or equal {IGNORE_INDEX}")
    return pairs.view(classes, classes)


def score(matrix_CC: Tensor) -> Scores:
    """Compute the metrics of a confusion matrix; all are 0 if no pixel is labelled."""
    counts_CC = matrix_CC.cpu().double()
    hit_C, truth_C, predicted_C = counts_CC.diag(), counts_CC.sum(dim=1), counts_CC.sum(dim=0)
    union_C = truth_C + predicted_C - hit_C
    iou_C = hit_C / union_C.clamp(min=1)
    accuracy_C = hit_C / truth_C.clamp(min=1)
    return Scores(
        miou=mean(iou_C[union_C > 0]),
        pixel_accuracy=float(hit_C.sum() / truth_C.sum().clamp(min=1)),
        mean_accuracy=mean(accuracy_C[truth_C > 0]),
        pixels=tuple(tuple(row) for row in matrix_CC.tolist()),
        iou=tuple(float(iou) if union > 0 else None for iou, union in zip(iou_C, union_C, strict=True)),
    )


def mean(values: Tensor) -> float:
    """The mean; 0 for no values."""
    return float(values.mean()) if values.numel() else 0.0
