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

from trainer.config import AUX_KERNELS, ModelConfig, setting

__all__ = [
    "FeatureShape",
    "Head",
    "HeadOutput",
    "aux_classifier",
    "concatenate",
    "conv_norm_relu",
    "hidden_classifier",
]


@dataclass(frozen=True, kw_only=True, slots=True)
class FeatureShape:
    """The feature maps of a backbone, finest first."""

    channels: tuple[int, ...]
    strides: tuple[int, ...]
    """Image pixels per feature pixel."""
    parallel: bool
    """Branches of equal depth (HRNet): the representation is their concatenation, not the last map."""
    align_corners: bool = False
    """How maps are resized to concatenate them."""

    def representation(self, features: Sequence[Tensor]) -> Tensor:
        """The output of the backbone: the last map, or the concatenated branches of an HRNet."""
        return self.concatenated(features) if self.parallel else features[-1]

    def concatenated(self, features: Sequence[Tensor]) -> Tensor:
        """All maps at the size of the finest one, concatenated."""
        return concatenate(features, align_corners=self.align_corners)

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
    classify: nn.Module
    """The last layers; the last convolution has one output per class."""
    training_only: ClassVar[tuple[str, ...]] = ()
    """Names of the child modules that inference does not use; an exported network lacks them."""

    @abstractmethod
    def __init__(self, shape: FeatureShape, classes: int, config: ModelConfig) -> None:
        super().__init__()

    @abstractmethod
    def forward(self, features: Sequence[Tensor]) -> HeadOutput:
        """Logits and tap of the feature maps of a backbone, finest first."""


def conv_norm(inputs: int, outputs: int, *, kernel: int = 1, dilation: int = 1) -> list[nn.Module]:
    """A convolution that keeps the map's size, and batch normalisation."""
    padding = dilation * (kernel - 1) // 2
    conv = nn.Conv2d(inputs, outputs, kernel, padding=padding, dilation=dilation, bias=False)
    nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")
    return [conv, nn.BatchNorm2d(outputs)]


def conv_norm_relu(inputs: int, outputs: int, *, kernel: int = 1, dilation: int = 1) -> nn.Sequential:
    """A convolution that keeps the map's size, batch normalisation and ReLU."""
    return nn.Sequential(*conv_norm(inputs, outputs, kernel=kernel, dilation=dilation), nn.ReLU(inplace=True))


def classifier(inputs: int, classes: int, *, bias: bool = True) -> nn.Conv2d:
    """The last 1x1 convolution, initialised near a uniform distribution over classes."""
    conv = nn.Conv2d(inputs, classes, kernel_size=1, bias=bias)
    nn.init.normal_(conv.weight, std=0.01)
    if conv.bias is not None:
        nn.init.zeros_(conv.bias)
    return conv


def hidden_classifier(inputs: int, classes: int, config: ModelConfig, *, kernel: int = 1) -> nn.Sequential:
    """A convolution to the width of the head, dropout, and the classifier."""
    width = config.head_channels
    relu: Sequence[nn.Module] = (nn.ReLU(inplace=True),) if setting(config, "classifier_relu") else ()
    hidden = nn.Sequential(*conv_norm(inputs, width, kernel=kernel), *relu)
    last = classifier(width, classes, bias=setting(config, "classifier_bias"))
    return nn.Sequential(hidden, nn.Dropout2d(config.dropout), last)


def aux_classifier(inputs: int, classes: int, config: ModelConfig, *between: nn.Module) -> nn.Sequential:
    """An auxiliary head: a convolution, the modules `between`, and a classifier."""
    width = config.aux_channels or config.head_channels
    kernel = config.aux_kernel or AUX_KERNELS[config.head]
    return nn.Sequential(conv_norm_relu(inputs, width, kernel=kernel), *between, classifier(width, classes))


def concatenate(features: Sequence[Tensor], *, align_corners: bool = False) -> Tensor:
    """Resize all maps to the finest one's size (bilinear) and concatenate their channels."""
    size = features[0].shape[-2:]
    coarse = (F.interpolate(item, size=size, mode="bilinear", align_corners=align_corners) for item in features[1:])
    return torch.cat([features[0], *coarse], dim=1)
