"""The HRNet head: all feature maps at stride 4, concatenated, and one hidden layer (Wang et al. 2020, HRNetV2).

With any other backbone it fuses several scales.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from trainer.models.heads.base import FeatureShape, Head, HeadOutput, concatenate, hidden_classifier

__all__ = ["HRNetHead"]


class HRNetHead(Head):
    """1x1 convolution over the concatenated maps, classifier. The tap is the concatenation; no auxiliary logits."""

    def __init__(self, shape: FeatureShape, classes: int, *, width: int, dropout: float) -> None:
        super().__init__(shape, classes, width=width, dropout=dropout)
        self.tap_channels = sum(shape.channels)
        self.classify = hidden_classifier(self.tap_channels, width, classes, dropout)

    def forward(self, features: Sequence[Tensor]) -> HeadOutput:
        """Logits at stride 4."""
        tap_BEhw = concatenate(features)
        return HeadOutput(self.classify(tap_BEhw), None, tap_BEhw)
