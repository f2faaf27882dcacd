"""The OCR head: object-contextual representations (Yuan et al. 2020).

Axes: B batch, C classes (each has one soft object region), W width, K key width, P pixels h * w.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from trainer.config import ModelConfig
from trainer.models.heads.base import FeatureShape, Head, HeadOutput, aux_classifier, conv_norm_relu, hidden_classifier

__all__ = ["OCRHead", "ObjectAttention", "gather_regions"]


def gather_regions(pixel_BWhw: Tensor, logits_BChw: Tensor) -> Tensor:
    """One vector per class and image, (B, W, C): the mean of the pixels, weighted by the class's soft region.

    The region of a class is the softmax of its logits over the pixels (equation 2 of the OCR paper).
    """
    region_BCP = logits_BChw.flatten(2).float().softmax(dim=2).to(pixel_BWhw.dtype)
    return torch.einsum("bwp,bcp->bwc", pixel_BWhw.flatten(2), region_BCP)


class ObjectAttention(nn.Module):
    """The context of each pixel: object regions, weighted by their similarity to the pixel (equations 3 and 4)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        keys = max(width // 2, 1)
        self.query = nn.Sequential(conv_norm_relu(width, keys), conv_norm_relu(keys, keys))
        self.key = nn.Sequential(conv_norm_relu(width, keys), conv_norm_relu(keys, keys))
        self.value = conv_norm_relu(width, keys)
        self.output = conv_norm_relu(keys, width)

    def forward(self, pixel_BWhw: Tensor, region_BWC: Tensor) -> Tensor:
        """The context (B, W, h, w)."""
        region_BWC1 = region_BWC.unsqueeze(3)
        query_BKhw = self.query(pixel_BWhw)
        query_BPK = query_BKhw.flatten(2).transpose(1, 2)
        key_BCK = self.key(region_BWC1).flatten(2).transpose(1, 2)
        value_BCK = self.value(region_BWC1).flatten(2).transpose(1, 2)
        context_BPK = nn.functional.scaled_dot_product_attention(query_BPK, key_BCK, value_BCK)
        context_BKhw = context_BPK.transpose(1, 2).reshape(*query_BKhw.shape)
        context: Tensor = self.output(context_BKhw)
        return context


class OCRHead(Head):
    """Coarse logits (the auxiliary ones) define soft regions, which each pixel attends to; the tap is the input."""

    def __init__(self, shape: FeatureShape, classes: int, config: ModelConfig) -> None:
        super().__init__(shape, classes, config)
        self.shape = shape
        self.tap_channels = shape.width
        width = config.head_channels
        self.coarse = aux_classifier(self.tap_channels, classes, config)
        self.pixels = conv_norm_relu(self.tap_channels, width, kernel=3)
        self.attend = ObjectAttention(width)
        self.classify = hidden_classifier(2 * width, classes, config)

    def forward(self, features: Sequence[Tensor]) -> HeadOutput:
        """Logits at the stride of the backbone's output."""
        tap_BEhw = self.shape.representation(features)
        coarse_BChw = self.coarse(tap_BEhw)
        pixel_BWhw = self.pixels(tap_BEhw)
        context_BWhw = self.attend(pixel_BWhw, gather_regions(pixel_BWhw, coarse_BChw))
        logits_BChw = self.classify(torch.cat([context_BWhw, pixel_BWhw], dim=1))
        return HeadOutput(logits_BChw, coarse_BChw if self.training else None, tap_BEhw)
