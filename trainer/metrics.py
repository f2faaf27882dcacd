"""Segmentation metrics from a confusion matrix.

Axes: C classes, where rows are truth and columns prediction; N images, K correct, labelled and predicted pixels.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from trainer.config import EvaluationConfig
from trainer.data.source import IGNORE_INDEX
from trainer.plugins.entry import chosen_metric

__all__ = ["PluginMetrics", "Scores", "class_counts", "confusion", "score"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Scores:
    """Metrics of one split, each in 0..1.

    Means are over the classes that occur in the truth, so all models that are scored on one split average the same
    classes. Where nothing is labelled there is nothing to average, and a metric is None.
    """

    miou: float | None
    """Mean of `iou` over the classes that occur in the truth."""
    pixel_accuracy: float | None
    """Share of labelled pixels with the correct prediction."""
    mean_accuracy: float | None
    """Mean, over the classes that occur in the truth, of the share of their pixels with the correct prediction."""
    iou: tuple[float | None, ...]
    """Intersection over union per class; None for a class that does not occur in the truth. A pixel that is predicted
    as such a class counts against the class that it has."""
    pixels: tuple[tuple[int, ...], ...]
    """The confusion matrix: number of pixels of the row's class that were predicted as the column's class."""
    count_NCK: Tensor | None = field(default=None, compare=False, repr=False)
    """`class_counts` of each image, on the CPU; reports resample the images with it."""
    further: Mapping[str, float] = field(default_factory=dict)
    """Metrics of plugins by name, without those that have nothing to average."""

    @property
    def figures(self) -> dict[str, float]:
        """The three means, `classes`, the number of classes that they are over, and metrics of plugins.

        Without those that have nothing to average.
        """
        if self.miou is None or self.pixel_accuracy is None or self.mean_accuracy is None:
            return dict(self.further)
        return {
            "miou": self.miou,
            "pixel_accuracy": self.pixel_accuracy,
            "mean_accuracy": self.mean_accuracy,
            "classes": float(sum(iou is not None for iou in self.iou)),
            **self.further,
        }


def confusion(label: Tensor, prediction: Tensor, classes: int) -> Tensor:
    """Count pixels: entry (t, p) of the (C, C) int64 result is the number of pixels of class t predicted as p.

    Both arguments are int64 and of equal shape. Pixels labelled IGNORE_INDEX are not counted. Never synchronises with
    the device. Raises IndexError for a label of `classes` or more; a CUDA device fails an assertion of its own.
    """
    # Place 0 counts void. A mask as an index and `bincount` wait for the device, and take four times as long on a CPU.
    place_P = (label * classes + prediction + 1).where(label != IGNORE_INDEX, 0).flatten()
    total = torch.zeros(classes**2 + 1, dtype=torch.int64, device=label.device)
    one_P = torch.ones((), dtype=torch.int64, device=label.device).expand_as(place_P)
    return total.index_add_(0, place_P, one_P)[1:].view(classes, classes)


def class_counts(matrix_CC: Tensor) -> Tensor:
    """Correct, labelled and predicted pixels of each class, (C, K): all that the metrics need."""
    return torch.stack([matrix_CC.diag(), matrix_CC.sum(dim=1), matrix_CC.sum(dim=0)], dim=1)


class PluginMetrics:
    """Sums up the metrics of plugins that `evaluation.metrics` names, over the images of a split."""

    def __init__(self, evaluation: EvaluationConfig, classes: int, device: torch.device) -> None:
        self.classes = classes
        self.measures: dict[str, tuple[Callable[..., Any], Callable[[Any], float]]] = {
            part.name: chosen_metric(part) for part in evaluation.metric_plugins or ()
        }
        void_HW = torch.full((2, 2), IGNORE_INDEX, device=device)
        self.sums: dict[str, Tensor] = {
            name: torch.zeros_like(measure(void_HW, torch.zeros_like(void_HW), classes), dtype=torch.float64)
            for name, (measure, _) in self.measures.items()
        }

    def add(self, label_HW: Tensor, prediction_HW: Tensor) -> None:
        """Count an image."""
        for name, (measure, _) in self.measures.items():
            self.sums[name] += measure(label_HW, prediction_HW, self.classes)

    def values(self, total: Callable[[Tensor], Tensor]) -> dict[str, float]:
        """The metrics by name, without those that are not finite; `total` sums over the ranks."""
        found = {name: float(value(total(self.sums[name]).cpu())) for name, (_, value) in self.measures.items()}
        return {name: value for name, value in found.items() if math.isfinite(value)}


def score(matrix_CC: Tensor, count_NCK: Tensor | None = None, further: Mapping[str, float] | None = None) -> Scores:
    """Compute the metrics of a confusion matrix; all are None if no pixel is labelled. `further`: those of plugins."""
    counts_CC = matrix_CC.cpu().double()
    hit_C, truth_C, predicted_C = counts_CC.diag(), counts_CC.sum(dim=1), counts_CC.sum(dim=0)
    union_C = truth_C + predicted_C - hit_C
    iou_C = hit_C / union_C.clamp(min=1)
    accuracy_C = hit_C / truth_C.clamp(min=1)
    occurs_C = truth_C > 0
    any_labelled = bool(occurs_C.any())
    return Scores(
        miou=float(iou_C[occurs_C].mean()) if any_labelled else None,
        pixel_accuracy=float(hit_C.sum() / truth_C.sum()) if any_labelled else None,
        mean_accuracy=float(accuracy_C[occurs_C].mean()) if any_labelled else None,
        pixels=tuple(tuple(row) for row in matrix_CC.tolist()),
        count_NCK=None if count_NCK is None else count_NCK.cpu(),
        further=further or {},
        iou=tuple(float(iou) if occurs else None for iou, occurs in zip(iou_C, occurs_C, strict=True)),
    )
