"""The segmentation network.   Axes: B batch, C classes, H W image, h w feature map, E tap, D embedding width."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trainer.models.backbones import Backbone
from trainer.models.heads.base import Head, HeadOutput, conv_norm_relu

__all__ = ["Projection", "Segmentor", "SegmentorOutput"]


class SegmentorOutput(NamedTuple):
    """The output of a forward pass."""

    logits_BCHW: Tensor
    """At the size of the image."""
    aux_logits_BCHW: Tensor | None
    """In training mode, for heads with auxiliary logits."""
    embedding_BDhw: Tensor | None
    """float32 unit vectors, in training mode, with a projection."""


class Projection(nn.Module):
    """1x1 convolution, batch normalisation, ReLU, 1x1 convolution, L2 norm (paper, section 3.3); training only."""

    def __init__(self, inputs: int, embedding_dim: int, hidden: int | None = None) -> None:
        """`hidden` None: the width of `inputs`."""
        super().__init__()
        width = inputs if hidden is None else hidden
        self.hidden = conv_norm_relu(inputs, width)
        self.output = nn.Conv2d(width, embedding_dim, kernel_size=1)

    def forward(self, tap_BEhw: Tensor) -> Tensor:
        """Unit vectors (B, D, h, w), float32 for any input precision."""
        embedding_BDhw: Tensor = self.output(self.hidden(tap_BEhw))
        return F.normalize(embedding_BDhw.float(), dim=1)


class Segmentor(nn.Module):
    """Backbone, head and optional projection. In evaluation mode, the projection is not used."""

    mean_131: Tensor
    std_131: Tensor

    def __init__(
        self,
        backbone: Backbone,
        head: Head,
        projection: Projection | None = None,
        layout: torch.memory_format = torch.channels_last,
        *,
        align_corners: bool = False,
    ) -> None:
        """`layout` is that of the images which the backbone sees; `align_corners` is for the logits."""
        super().__init__()
        self.align_corners = align_corners
        self.layout = layout
        self.backbone = backbone
        self.head = head
        self.projection = projection
        self.register_buffer("mean_131", torch.tensor(backbone.mean).view(3, 1, 1), persistent=False)
        self.register_buffer("std_131", torch.tensor(backbone.std).view(3, 1, 1), persistent=False)

    def forward(self, image_B3HW: Tensor) -> SegmentorOutput:
        """Segment images with values in 0..1.

        In evaluation mode, images can have any size: if the backbone needs sides that are multiples of a number, the
        image is padded with the mean colour at the right and the bottom, and the logits are cropped.
        """
        height, width = image_B3HW.shape[-2:]
        image_B3HW = ((image_B3HW - self.mean_131) / self.std_131).contiguous(memory_format=self.layout)
        if not self.training:
            image_B3HW = pad_to_multiple(image_B3HW, self.backbone.size_multiple)
        output: HeadOutput = self.head(self.backbone(image_B3HW))
        size = (int(image_B3HW.shape[-2]), int(image_B3HW.shape[-1]))
        logits_BCHW = self.upsample(output.logits_BChw, size)[..., :height, :width]
        aux_BCHW = None if output.aux_BChw is None else self.upsample(output.aux_BChw, size)
        embedding_BDhw = None
        if self.training and self.projection is not None:
            embedding_BDhw = self.projection(output.tap_BEhw)
        return SegmentorOutput(logits_BCHW, aux_BCHW, embedding_BDhw)

    def upsample(self, logits_BChw: Tensor, size: tuple[int, int]) -> Tensor:
        """Resize logits to `size` = (H, W), bilinear, in float32."""
        return F.interpolate(logits_BChw.float(), size=size, mode="bilinear", align_corners=self.align_corners)

    @property
    def training_prefixes(self) -> tuple[str, ...]:
        """How the names of the parameters and buffers start that inference does not use."""
        return ("projection.", *(f"head.{name}." for name in self.head.training_only))

    @property
    def deployed_parameters(self) -> int:
        """Number of the parameters that inference uses."""
        named = self.named_parameters()
        return sum(parameter.numel() for name, parameter in named if not name.startswith(self.training_prefixes))

    def drop_training_parts(self) -> None:
        """Remove what inference does not use: the projection and the auxiliary classifier of a head."""
        self.projection = None
        for name in self.head.training_only:
            setattr(self.head, name, None)


def pad_to_multiple(image_B3HW: Tensor, multiple: int) -> Tensor:
    """Pad normalised images with zeros at the right and the bottom to sides that are multiples of `multiple`."""
    height, width = image_B3HW.shape[-2:]
    right, bottom = -width % multiple, -height % multiple
    return F.pad(image_B3HW, (0, right, 0, bottom)) if right or bottom else image_B3HW
