"""The metrics of the trainer: what they are called, and which way is better (`trainer.figure_names`)."""

from __future__ import annotations

from dataclasses import replace

from orchestrator.workload.metric import Counts, Metric
from trainer.figure_names import BANK_FIGURES, CONTRAST_FIGURES, IOU_PREFIX

__all__ = ["METRICS"]


def share(name: str, title: str, *, is_column: bool = False, over_classes: bool = False, counts: Counts = "") -> Metric:
    """A metric recorded in 0..1 and shown in per cent, where more is better."""
    return Metric(
        name=name,
        title=title,
        unit="%",
        direction="up",
        decimals=2,
        ranked=True,
        is_column=is_column,
        over_classes=over_classes,
        counts=counts,
    )


def cost(name: str, title: str, unit: str, decimals: int, *, is_column: bool = False) -> Metric:
    """A metric where less is better, and which is not ranked."""
    return Metric(name=name, title=title, unit=unit, direction="down", decimals=decimals, is_column=is_column)


def contrast(name: str, title: str, decimals: int = 3, unit: str = "") -> Metric:
    """A metric of the contrastive loss or of its memory bank."""
    known = dict.fromkeys(CONTRAST_FIGURES, "a contrastive loss") | dict.fromkeys(BANK_FIGURES, "a memory bank")
    return Metric(name=name, title=title, unit=unit, decimals=decimals, needs=known[name])


METRICS = (
    share("final/miou", "mIoU", is_column=True, over_classes=True, counts="mean_iou"),
    share("final/pixel_accuracy", "Pixel acc.", is_column=True, counts="accuracy"),
    share("final/mean_accuracy", "Mean acc.", over_classes=True, counts="mean_accuracy"),
    share(IOU_PREFIX, "IoU {}", counts="iou"),
    Metric(name="final/classes"),
    share("val/miou", "Val mIoU", over_classes=True),
    share("val/best_miou", "Best val mIoU", over_classes=True),
    share("val/pixel_accuracy", "Val pixel acc."),
    Metric(name="val/classes"),
    cost("cost/train_minutes", "Train", "min", 1, is_column=True),
    cost("cost/gpu_hours", "GPU time", "h", 2),
    cost("cost/step_ms", "Step", "ms", 1),
    Metric(name="cost/loader_wait_share", title="Loader wait", unit="%", direction="down", decimals=1),
    Metric(name="cost/images_per_second", title="Throughput", unit="images/s", direction="up", decimals=1),
    cost("cost/peak_memory_gb", "Peak memory", "GB", 2),
    cost("cost/parameters_millions", "Parameters", "M", 2),
    replace(contrast("contrast/purity", "Bank purity", 2, "%"), direction="up"),
    contrast("contrast/bank_fill", "Bank fill", 2, "%"),
    contrast("contrast/skipped_share", "Classes skipped", 2, "%"),
    contrast("contrast/anchored_share", "Classes anchored", 2, "%"),
    contrast("contrast/loss", "Contrast loss"),
    contrast("contrast/anchors", "Anchors", 1),
    contrast("contrast/anchors_per_class", "Anchors per class", 1),
    contrast("contrast/positives", "Positives per anchor", 1),
    contrast("contrast/negatives", "Negatives per anchor", 1),
    contrast("contrast/positive_similarity", "Pos. similarity"),
    contrast("contrast/negative_similarity", "Neg. similarity"),
    contrast("contrast/alignment", "Alignment"),
    contrast("contrast/uniformity", "Uniformity"),
)
