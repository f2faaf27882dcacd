"""How the reported figures are taken, and in which arithmetic a trial is computed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from trainer.config.data import MIN_CROP
from trainer.config.field_markers import optional, require, setting, unset_implied

__all__ = ["ComputeConfig", "EvaluationConfig", "effective_evaluation"]


@dataclass(frozen=True, kw_only=True, slots=True)
class EvaluationConfig:
    """How the reported figures (`final/...`) are measured; the learning curve (`val/...`) is whole-image, one scale."""

    window: tuple[int, int] | None = None
    """Height and width of a sliding window, pixels of the (resized) image; not set: the whole image at once."""
    stride: tuple[int, int] | None = None
    """Steps of the window, pixels; not set: two thirds of it. Logits are averaged where windows overlap."""
    scales: tuple[float, ...] | None = optional((1.0,))
    """Factors by which the image is resized; the logits of all are averaged at the image's own size."""
    flip: bool | None = optional(False)
    """Whether each view is also seen mirrored."""

    def __post_init__(self) -> None:
        window, stride = self.window, self.stride
        require(window is None or min(window) >= MIN_CROP, "evaluation.window", f"must be at least {MIN_CROP} pixels")
        inside = stride is None or window is None or all(0 < s <= w for s, w in zip(stride, window, strict=True))
        require(inside, "evaluation.stride", "must be positive and at most the window, else pixels are missed")
        scales = setting(self, "scales")
        require(len(scales) > 0 and min(scales) > 0, "evaluation.scales", "must be a list of positive numbers")


@dataclass(frozen=True, kw_only=True, slots=True)
class ComputeConfig:
    """The arithmetic of training. All of it moves the last bits at least, so it is part of a trial's identity.

    Evaluation is in float32 whatever is chosen here. Only the network runs at reduced precision: losses, the
    contrast and the bank's diagnostics are in float32.
    """

    precision: Literal["float32", "bfloat16", "float16"] | None = optional("float32")
    """Of the network's forward and backward pass (autocast); `float16` scales the loss and needs CUDA."""
    compile: bool | None = optional(False)
    """Whether the training forward pass goes through torch.compile: its fused kernels round differently."""
    deterministic: bool | None = optional(False)
    """Whether only deterministic algorithms are used: on CUDA slower, and bit-equal from run to run."""


def effective_evaluation(evaluation: EvaluationConfig) -> EvaluationConfig:
    """`evaluation` without the stride of a window that is not there."""
    effective: EvaluationConfig = unset_implied(evaluation if evaluation.window else replace(evaluation, stride=None))
    return effective
