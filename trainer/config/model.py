"""Backbone and segmentation head."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

from orchestrator.workload.fields import optional, require, unset_implied
from trainer.config.plugin_part import PluginPart, plugin_part

__all__ = [
    "AUX_KERNELS",
    "BACKBONE_NAMES",
    "DEEP_STEMS",
    "PACKAGED_WEIGHTS",
    "ModelConfig",
    "effective_model",
    "ignored_options",
]

BACKBONE_NAMES = ("resnet18", "resnet50", "resnet101", "hrnet_w18", "hrnet_w48", "tf_efficientnet_lite0")
"""Tested backbones. Any other timm model with feature maps is `timm/<name>`."""

DEEP_STEMS = {"resnet50": "resnet50s", "resnet101": "resnet101s"}
"""Backbones that can have a deep stem, and timm's name of the same network with one."""

AUX_KERNELS = {"deeplabv3": 3, "ocr": 1}
"""Heads with auxiliary logits, and the kernel size of their auxiliary head if `model.aux_kernel` is not set."""

FUSING_HEADS = ("deeplabv3", "hrnet")
"""Heads with a convolution whose kernel size is `model.fusion_kernel`."""

PACKAGED_WEIGHTS = ("none", "imagenet")
"""Values of `ModelConfig.weights` that are not paths."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelConfig:
    """Backbone and segmentation head; the projection head belongs to `ContrastConfig`.

    From `stem` on, the fields are the options in which public implementations differ (docs/recipes.md).
    """

    backbone: str = "resnet18"
    """One of `BACKBONE_NAMES`, or `timm/<name>` for any other timm model with feature maps."""
    weights: str = "none"
    """`none` (random), `imagenet` (from a package or timm's hub), or the path of a .safetensors or .pth file."""
    output_stride: Literal[8, 16, 32] = 16
    """Stride of the deepest features of ResNets and EfficientNets; HRNets ignore it."""
    head: Literal["deeplabv3", "hrnet", "ocr"] = "deeplabv3"
    """Segmentation head: a key of `trainer.build.HEADS`."""
    head_channels: int = 256
    """Width of the head, channels; for DeepLabV3 that of the ASPP."""
    dropout: float = 0.1
    """Dropout before the classifier, probability."""
    aux_weight: float = 0.4
    """Weight of the auxiliary cross-entropy of DeepLabV3 and OCR."""
    stem: Literal["plain", "deep"] | None = optional("plain")
    """First layers of a ResNet-50 or -101: one 7x7 convolution, or three of 3x3 (64, 64 and 128 channels)."""
    fusion_kernel: Literal[1, 3] | None = optional(1)
    """Kernel size of the convolution over HRNet's concatenated branches, or over DeepLabV3's concatenated pyramid."""
    aux_channels: int | None = None
    """Hidden width of the auxiliary head of DeepLabV3 and OCR, channels; not set: `head_channels`."""
    aux_kernel: Literal[1, 3] | None = None
    """Kernel size of the auxiliary head's hidden convolution; not set: 3 for DeepLabV3, 1 for OCR."""
    classifier_relu: bool | None = optional(True)
    """Whether a ReLU follows the last batch norm before the classifier."""
    classifier_bias: bool | None = optional(True)
    """Whether the classifier has a bias; the auxiliary one always has."""
    align_corners: bool | None = optional(False)
    """Whether the network resizes feature maps and logits with torch's `align_corners`."""
    head_plugin: PluginPart | None = plugin_part("HEADS", "head")
    backbone_plugin: PluginPart | None = plugin_part("BACKBONES", "backbone")

    def __post_init__(self) -> None:
        known = self.backbone in BACKBONE_NAMES or (self.backbone.startswith("timm/") and len(self.backbone) > 5)
        known = known or self.backbone_plugin is not None
        choices = ", ".join(BACKBONE_NAMES)
        require(known, "model.backbone", f"unknown backbone {self.backbone!r}; choose {choices}, or timm/<name>")
        require(bool(self.weights), "model.weights", "must be none, imagenet or a path")
        require(self.head_channels >= 8, "model.head_channels", "must be at least 8")
        require(0 <= self.dropout < 1, "model.dropout", "must be in [0, 1)")
        require(self.aux_weight >= 0, "model.aux_weight", "must not be negative")
        require(self.aux_channels is None or self.aux_channels >= 8, "model.aux_channels", "must be at least 8")


def ignored_options(model: ModelConfig) -> dict[str, str]:
    """The options that this backbone or head does not have: name of the field -> the reason."""
    found: dict[str, str] = {}
    if model.backbone not in DEEP_STEMS:
        found["stem"] = f"only {' and '.join(DEEP_STEMS)} have a choice of stem, not {model.backbone}"
    if model.head_plugin is not None:
        return found
    if model.head not in FUSING_HEADS:
        found["fusion_kernel"] = f"the head {model.head} has no such convolution"
    if model.head not in AUX_KERNELS:
        found |= dict.fromkeys(("aux_channels", "aux_kernel"), f"the head {model.head} has no auxiliary head")
    return found


def effective_model(model: ModelConfig) -> ModelConfig:
    """`model` without options that are ignored or that say what is implied, and without the weight of no loss."""
    reset: dict[str, Any] = dict.fromkeys(ignored_options(model))
    if model.head not in AUX_KERNELS and model.head_plugin is None:
        reset["aux_weight"] = 0.0
    if model.aux_channels == model.head_channels:
        reset["aux_channels"] = None
    if model.aux_kernel == AUX_KERNELS.get(model.head):
        reset["aux_kernel"] = None
    effective: ModelConfig = unset_implied(replace(model, **reset))
    return effective
