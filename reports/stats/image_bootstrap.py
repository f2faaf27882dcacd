"""How far a figure would move with other test images: the bootstrap over the images of the test split.

The trained networks stay as they are; only the images are drawn anew. Rows are compared on the same draws, so what is
hard in an image is hard for both (a paired bootstrap). The interval over seeds says what training again would change,
this says what other images would change; neither contains the other.

Axes: R resamples, N images, C classes, K correct, labelled and predicted pixels; leading axes are kept.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "RESAMPLES",
    "class_accuracy",
    "class_iou",
    "mean_accuracy",
    "mean_iou",
    "pixel_accuracy",
    "resampled",
    "standard_error",
]

Array = NDArray[np.float64]

Score = Callable[[Array], Array]
"""A figure of counts (..., C, K)."""

RESAMPLES = 1000
"""The standard error of 1,000 resamples is itself known to 2 %."""


def class_iou(count_CK: Array) -> Array:
    """IoU per class (..., C); NaN for a class that is not labelled."""
    correct_C, labelled_C, predicted_C = np.moveaxis(np.asarray(count_CK, dtype=np.float64), -1, 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(labelled_C > 0, correct_C / (labelled_C + predicted_C - correct_C), np.nan)


def class_accuracy(count_CK: Array) -> Array:
    """Share of the labelled pixels with the correct prediction, per class (..., C); NaN for a class without any."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(count_CK[..., 1] > 0, count_CK[..., 0] / count_CK[..., 1], np.nan)


def mean_iou(count_CK: Array) -> Array:
    """Mean IoU (...) over the labelled classes."""
    return mean_over_classes(class_iou(count_CK))


def mean_accuracy(count_CK: Array) -> Array:
    """Mean accuracy (...) over the labelled classes."""
    return mean_over_classes(class_accuracy(count_CK))


def pixel_accuracy(count_CK: Array) -> Array:
    """Share (...) of the labelled pixels with the correct prediction; NaN without any."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(count_CK[..., 0].sum(axis=-1) / count_CK[..., 1].sum(axis=-1))


def mean_over_classes(value_C: Array) -> Array:
    """Mean over the last axis without NaN; NaN for no value."""
    known_C = np.isfinite(value_C)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(known_C, value_C, 0.0).sum(axis=-1) / known_C.sum(axis=-1))


def resampled(count_NCK: NDArray[np.int64], scores: Mapping[str, Score]) -> dict[str, Array]:
    """Each of `scores` on each resample of the images, (R,). The draws are the same for all trials with N images."""
    images, classes, kinds = count_NCK.shape
    total_RCK = (draws(images) @ count_NCK.reshape(images, -1).astype(np.float64)).reshape(-1, classes, kinds)
    return {name: score(total_RCK) for name, score in scores.items()}


@cache
def draws(images: int) -> Array:
    """How often each image is in each resample, (R, N); from a fixed random seed."""
    generator = np.random.default_rng(0)
    return generator.multinomial(images, np.full(images, 1 / images), size=RESAMPLES).astype(np.float64)


def standard_error(difference_R: Array) -> float:
    """Standard deviation over the resamples with a value."""
    return float(np.nanstd(difference_R, ddof=1))
