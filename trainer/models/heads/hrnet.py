"""The HRNet head: all feature maps at stride 4, concatenated, and one hidden layer (Wang et al. 2020, HRNetV2).

With any other backbone it fuses several scales.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from trainer.config import ModelConfig, setting
from trainer.models.heads.base import FeatureShape, Head, HeadOutput, hidden_classifier

__all__ = ["HRNetHead"]


class HRNetHead(Head):
    """A convolution over the concatenated maps, classifier. The tap is the concatenation; no auxiliary logits."""

    def __init__(self, shape: FeatureShape, classes: int, config: ModelConfig) -> None:
        super().__init__(shape, classes, config)
        self.shape = shape
        self.tap_channels = sum(shape.channels)
        self.classify = hidden_classifier(self.tap_channels, classes, config, kernel=setting(config, "fusion_kernel"))

    def forward(self, features: Sequence[Tensor]) -> HeadOutput:
        """Logits at stride 4."""
        tap_BEhw = self.shape.concatenated(features)
        return HeadOutput(self.classify(tap_BEhw), None, tap_BEhw)
