"""The DeepLabV3 head: atrous spatial pyramid pooling (Chen et al. 2017) and auxiliary logits of the previous stage."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from trainer.config import ModelConfig, setting
from trainer.models.heads.base import FeatureShape, Head, HeadOutput, aux_classifier, conv_norm_relu, hidden_classifier

__all__ = ["DeepLabV3Head", "Pyramid"]

RATES_AT_STRIDE_8 = (12, 24, 36)
"""Dilations of the paper at output stride 8; scaled at other strides to cover the same distance in the image."""


class Pyramid(nn.Module):
    """A 1x1 and three dilated 3x3 convolutions and the image mean, concatenated and fused to `width` channels."""

    def __init__(self, inputs: int, width: int, rates: Sequence[int], fusion_kernel: int = 1) -> None:
        super().__init__()
        self.views = nn.ModuleList(
            [conv_norm_relu(inputs, width), *(conv_norm_relu(inputs, width, kernel=3, dilation=r) for r in rates)]
        )
        self.image_mean = nn.Sequential(nn.AdaptiveAvgPool2d(1), *conv_norm_relu(inputs, width))
        self.fuse = conv_norm_relu(width * (len(self.views) + 1), width, kernel=fusion_kernel)

    def forward(self, feature_BEhw: Tensor) -> Tensor:
        """Return (B, width, h, w)."""
        views = [view(feature_BEhw) for view in self.views]
        mean = self.image_mean(feature_BEhw).expand(-1, -1, *feature_BEhw.shape[-2:])
        fused: Tensor = self.fuse(torch.cat([*views, mean], dim=1))
        return fused


class DeepLabV3Head(Head):
    """Pyramid, 3x3 convolution, classifier. The tap is the backbone's output, before the pyramid."""

    training_only = ("aux",)

    def __init__(self, shape: FeatureShape, classes: int, config: ModelConfig) -> None:
        super().__init__(shape, classes, config)
        self.shape = shape
        self.tap_channels = shape.width
        width = config.head_channels
        rates = [max(1, rate * 8 // shape.stride) for rate in RATES_AT_STRIDE_8]
        self.pyramid = Pyramid(self.tap_channels, width, rates, setting(config, "fusion_kernel"))
        self.classify = hidden_classifier(width, classes, config, kernel=3)
        self.aux = aux_classifier(shape.channels[-2], classes, config, nn.Dropout2d(config.dropout))

    def forward(self, features: Sequence[Tensor]) -> HeadOutput:
        """Logits at the backbone's output stride; auxiliary logits of the second-last map."""
        tap_BEhw = self.shape.representation(features)
        aux_BChw = self.aux(features[-2]) if self.training else None
        return HeadOutput(self.classify(self.pyramid(tap_BEhw)), aux_BChw, tap_BEhw)
