"""What every segmentation head has in common.   Axes: B batch, C classes, E tap width, h w feature map."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["FeatureShape", "Head", "HeadOutput", "classifier", "concatenate", "conv_norm_relu"]


@dataclass(frozen=True, kw_only=True, slots=True)
class FeatureShape:
    """What a backbone gives to its head, finest map first."""

    channels: tuple[int, ...]
    strides: tuple[int, ...]
    """Image pixels per feature pixel."""
    parallel: bool
    """Equally deep branches (HRNet): the representation is their concatenation, not the last one."""


class HeadOutput(NamedTuple):
    """What a head returns."""

    logits_BChw: Tensor
    aux_BChw: Tensor | None
    """Auxiliary logits; in training mode only, and only for heads that have them."""
    tap_BEhw: Tensor
    """The features the projection embeds: HRNet's concatenation, else the input of the head (paper, section 4)."""


class Head(nn.Module, ABC):
    """Features to class logits. A new head is a subclass in a file of its own and a line in `trainer.build.HEADS`."""

    tap_channels: int
    """Width E of the tap."""

    @abstractmethod
    def __init__(self, shape: FeatureShape, classes: int, *, width: int, dropout: float) -> None:
        super().__init__()

    @abstractmethod
    def forward(self, features: Sequence[Tensor]) -> HeadOutput:
        """Return logits and tap for the feature maps of a backbone, finest first."""


def conv_norm_relu(inputs: int, outputs: int, *, kernel: int = 1, dilation: int = 1) -> nn.Sequential:
    """Build a convolution that keeps the map's size, batch normalisation and ReLU."""
    padding = dilation * (kernel - 1) // 2
    conv = nn.Conv2d(inputs, outputs, kernel, padding=padding, dilation=dilation, bias=False)
    nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")
    return nn.Sequential(conv, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True))


def classifier(inputs: int, classes: int) -> nn.Conv2d:
    """Build the last 1x1 convolution; it starts near the uniform distribution over classes."""
    conv = nn.Conv2d(inputs, classes, kernel_size=1)
    nn.init.normal_(conv.weight, std=0.01)
    nn.init.zeros_(conv.bias)  # type: ignore[arg-type]
    return conv


def concatenate(features: Sequence[Tensor]) -> Tensor:
    """Bring all maps to the finest one's size (bilinear) and stack their channels."""
    size = features[0].shape[-2:]
    coarse = (F.interpolate(item, size=size, mode="bilinear", align_corners=False) for item in features[1:])
    return torch.cat([features[0], *coarse], dim=1)


def representation(features: Sequence[Tensor], shape: FeatureShape) -> Tensor:
    """Return the backbone's output proper: the last map, or all branches of an HRNet."""
    return concatenate(features) if shape.parallel else features[-1]


def representation_channels(shape: FeatureShape) -> int:
    """Return the width of `representation`."""
    return sum(shape.channels) if shape.parallel else shape.channels[-1]


def representation_stride(shape: FeatureShape) -> int:
    """Return the stride of `representation`."""
    return shape.strides[0] if shape.parallel else shape.strides[-1]
