"""The base class of segmentation heads and their building blocks.

Axes: B batch, C classes, E tap width, h w feature map.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["FeatureShape", "Head", "HeadOutput", "classifier", "concatenate", "conv_norm_relu", "hidden_classifier"]


@dataclass(frozen=True, kw_only=True, slots=True)
class FeatureShape:
    """The feature maps of a backbone, finest first."""

    channels: tuple[int, ...]
    strides: tuple[int, ...]
    """Image pixels per feature pixel."""
    parallel: bool
    """Branches of equal depth (HRNet): the representation is their concatenation, not the last map."""

    def representation(self, features: Sequence[Tensor]) -> Tensor:
        """The output of the backbone: the last map, or the concatenated branches of an HRNet."""
        return concatenate(features) if self.parallel else features[-1]

    @property
    def width(self) -> int:
        """Channels of the representation."""
        return sum(self.channels) if self.parallel else self.channels[-1]

    @property
    def stride(self) -> int:
        """Stride of the representation."""
        return self.strides[0] if self.parallel else self.strides[-1]


class HeadOutput(NamedTuple):
    """The output of a head."""

    logits_BChw: Tensor
    aux_BChw: Tensor | None
    """Auxiliary logits, in training mode, for heads that have them."""
    tap_BEhw: Tensor
    """The input of the projection: HRNet's concatenated maps, otherwise the input of the head (paper, section 4)."""


class Head(nn.Module, ABC):
    """Features to class logits. To add a head, write a subclass in its own file and add it to `trainer.build.HEADS`."""

    tap_channels: int
    """Width E of the tap."""
    training_only: ClassVar[tuple[str, ...]] = ()
    """Names of the child modules that inference does not use; an exported network lacks them."""

    @abstractmethod
    def __init__(self, shape: FeatureShape, classes: int, *, width: int, dropout: float) -> None:
        super().__init__()

    @abstractmethod
    def forward(self, features: Sequence[Tensor]) -> HeadOutput:
        """Logits and tap of the feature maps of a backbone, finest first."""


def conv_norm_relu(inputs: int, outputs: int, *, kernel: int = 1, dilation: int = 1) -> nn.Sequential:
    """A convolution that keeps the map's size, batch normalisation and ReLU."""
    padding = dilation * (kernel - 1) // 2
    conv = nn.Conv2d(inputs, outputs, kernel, padding=padding, dilation=dilation, bias=False)
    nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")
    return nn.Sequential(conv, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True))


def classifier(inputs: int, classes: int) -> nn.Conv2d:
    """The last 1x1 convolution, initialised near a uniform distribution over classes."""
    conv = nn.Conv2d(inputs, classes, kernel_size=1)
    nn.init.normal_(conv.weight, std=0.01)
    nn.init.zeros_(conv.bias)  # type: ignore[arg-type]
    return conv


def hidden_classifier(inputs: int, width: int, classes: int, dropout: float, *, kernel: int = 1) -> nn.Sequential:
    """A convolution to `width` channels, dropout, and the classifier."""
    hidden = conv_norm_relu(inputs, width, kernel=kernel)
    return nn.Sequential(hidden, nn.Dropout2d(dropout), classifier(width, classes))


def concatenate(features: Sequence[Tensor]) -> Tensor:
    """Resize all maps to the finest one's size (bilinear) and concatenate their channels."""
    size = features[0].shape[-2:]
    coarse = (F.interpolate(item, size=size, mode="bilinear", align_corners=False) for item in features[1:])
    return torch.cat([features[0], *coarse], dim=1)
