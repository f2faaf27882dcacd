"""The names of the metrics that a finished trial reports; imports no torch, because planning checks tables by them."""

from __future__ import annotations

from collections.abc import Sequence

from trainer.config import ContrastConfig, effective_memory

__all__ = ["BANK_FIGURES", "CONTRAST_FIGURES", "GENERAL_FIGURES", "IOU_PREFIX", "figure_names"]

IOU_PREFIX = "final/iou/"
"""Before the name of a class."""

GENERAL_FIGURES = frozenset(
    (
        *(f"final/{name}" for name in ("miou", "pixel_accuracy", "mean_accuracy", "classes")),
        *(f"val/{name}" for name in ("miou", "best_miou", "pixel_accuracy", "classes")),
        "cost/train_minutes",
        "cost/step_ms",
        "cost/images_per_second",
        "cost/loader_wait_share",
        "cost/parameters_millions",
        "cost/peak_memory_gb",
        "cost/gpu_hours",
    )
)
"""Of every trial; the last two of those on a GPU."""

CONTRAST_FIGURES = frozenset(
    f"contrast/{name}"
    for name in (
        "loss",
        "anchors",
        "anchors_per_class",
        "anchored_share",
        "skipped_share",
        "positives",
        "negatives",
        "positive_similarity",
        "negative_similarity",
        "alignment",
        "uniformity",
    )
)
"""Of a trial with a contrastive loss."""

BANK_FIGURES = frozenset(("contrast/bank_fill", "contrast/purity"))
"""Of a trial with a memory bank."""


def figure_names(contrast: ContrastConfig, class_names: Sequence[str]) -> frozenset[str]:
    """All metrics that a trial with this loss on data with these classes may report."""
    names = GENERAL_FIGURES.union(f"{IOU_PREFIX}{name}" for name in class_names)
    if contrast.source == "none":
        return names
    names |= CONTRAST_FIGURES
    return names if effective_memory(contrast).kind == "none" else names | BANK_FIGURES
