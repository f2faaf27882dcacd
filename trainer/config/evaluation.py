"""How the reported figures are measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from orchestrator.workload.fields import optional, require, setting, unset_implied
from trainer.config.data import MIN_CROP
from trainer.config.plugin_part import PluginPart, plugin_part

__all__ = ["PRESETS", "EvaluationConfig", "Views", "effective_evaluation"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Views:
    """The views of an image that a preset evaluates."""

    scales: tuple[float, ...]
    flip: bool


PRESETS: Mapping[str, Views] = {
    "single_scale": Views(scales=(1.0,), flip=False),
    "multi_scale_flip": Views(scales=(0.5, 0.75, 1.0, 1.25, 1.5, 1.75, 2.0), flip=True),
}
"""The protocols of published figures. The released test configurations of every data set have these seven scales, and
so has HRNet for PASCAL-Context, COCO-Stuff and ADE20K; for Cityscapes, HRNet leaves out 2."""


@dataclass(frozen=True, kw_only=True, slots=True)
class EvaluationConfig:
    """How the reported figures (`final/...`) are measured; the learning curve (`val/...`) uses whole images."""

    preset: Literal["single_scale", "multi_scale_flip"] | None = None
    """A protocol that sets `scales` and `flip`: `single_scale`, or `multi_scale_flip` with scales 0.5, 0.75, 1, 1.25,
    1.5, 1.75 and 2, each also mirrored. It can be combined with `window` and `stride`."""
    window: tuple[int, int] | None = None
    """Height and width of a sliding window, pixels of the resized image; not set: the whole image at once."""
    stride: tuple[int, int] | None = None
    """Stride of the window, pixels; not set: two thirds of it. Logits of overlapping windows are averaged."""
    scales: tuple[float, ...] | None = optional((1.0,))
    """Factors to resize the image by, after `data.base_size`; the logits are averaged at the size of the label."""
    flip: bool | None = optional(False)
    """Whether to average over mirrored images as well."""
    metrics: tuple[str, ...] | None = None
    """Metrics of plugins that are measured besides the trainer's own: `final/NAME` and `val/NAME`."""
    metric_plugins: tuple[PluginPart, ...] | None = plugin_part("METRICS", "metrics")

    def __post_init__(self) -> None:
        known = [part.name for part in self.metric_plugins or ()]
        for name in self.metrics or ():
            require(name in known, "evaluation.metrics", f"no plugin has a metric {name!r}; name its file in `plugins`")
        distinct = self.metrics is None or len(set(self.metrics)) == len(self.metrics)
        require(distinct, "evaluation.metrics", "a metric is named twice; remove one")
        window, stride = self.window, self.stride
        require(window is None or min(window) >= MIN_CROP, "evaluation.window", f"must be at least {MIN_CROP} pixels")
        inside = stride is None or window is None or all(0 < s <= w for s, w in zip(stride, window, strict=True))
        require(inside, "evaluation.stride", "must be positive and not larger than the window, else pixels are skipped")
        for name in ("scales", "flip"):
            said_once = self.preset is None or getattr(self, name) is None
            text = f"evaluation.preset ({self.preset}) sets it as well; remove it, or set evaluation.preset to null"
            require(said_once, f"evaluation.{name}", text)
        scales = setting(self, "scales")
        require(len(scales) > 0 and min(scales) > 0, "evaluation.scales", "must be a list of positive numbers")


def effective_evaluation(evaluation: EvaluationConfig) -> EvaluationConfig:
    """`evaluation` with the scales and the flip of its preset, and without a stride if there is no window."""
    if evaluation.preset is not None:
        views = PRESETS[evaluation.preset]
        evaluation = replace(evaluation, preset=None, scales=views.scales, flip=views.flip)
    effective: EvaluationConfig = unset_implied(evaluation if evaluation.window else replace(evaluation, stride=None))
    return effective
