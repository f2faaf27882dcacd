"""Backbone and segmentation head."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from trainer.config.field_markers import require

__all__ = ["BACKBONE_NAMES", "PACKAGED_WEIGHTS", "ModelConfig"]

BACKBONE_NAMES = ("resnet18", "resnet50", "resnet101", "hrnet_w18", "hrnet_w48", "tf_efficientnet_lite0")
"""Tested backbones. Any other timm model with feature maps is `timm/<name>`."""

PACKAGED_WEIGHTS = ("none", "imagenet")
"""Values of `ModelConfig.weights` that are not paths."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelConfig:
    """Backbone and segmentation head; the projection head belongs to `ContrastConfig`."""

    backbone: str = "resnet18"
    """One of `BACKBONE_NAMES`, or `timm/<name>` for any other timm model with feature maps."""
    weights: str = "none"
    """`none` (random), `imagenet` (from a package or timm's hub), or the path of a .safetensors or .pth file."""
    output_stride: Literal[8, 16, 32] = 16
    """Stride of the deepest features of ResNets and EfficientNets; HRNets ignore it."""
    head: Literal["deeplabv3", "hrnet", "ocr"] = "deeplabv3"
    """Segmentation head: a key of `trainer.build.HEADS`."""
    head_channels: int = 256
    """Width of the head, channels."""
    dropout: float = 0.1
    """Dropout before the classifier, probability."""
    aux_weight: float = 0.4
    """Weight of the auxiliary cross-entropy of DeepLabV3 and OCR."""

    def __post_init__(self) -> None:
        known = self.backbone in BACKBONE_NAMES or (self.backbone.startswith("timm/") and len(self.backbone) > 5)
        choices = ", ".join(BACKBONE_NAMES)
        require(known, "model.backbone", f"unknown backbone {self.backbone!r}; choose {choices}, or timm/<name>")
        require(bool(self.weights), "model.weights", "must be none, imagenet or a path")
        require(self.head_channels >= 8, "model.head_channels", "must be at least 8")
        require(0 <= self.dropout < 1, "model.dropout", "must be in [0, 1)")
        require(self.aux_weight >= 0, "model.aux_weight", "must not be negative")
