"""Builds the network and the contrastive loss of a config."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import torch

from trainer.config import ContrastConfig, ModelConfig, setting
from trainer.contrast import PixelContrast, ReleasedContrast
from trainer.models.backbones import build_backbone
from trainer.models.heads.base import FeatureShape, Head
from trainer.models.heads.deeplabv3 import DeepLabV3Head
from trainer.models.heads.hrnet import HRNetHead
from trainer.models.heads.ocr import OCRHead
from trainer.models.segmentor import Projection, Segmentor
from trainer.plugins.entry import Entry, chosen
from trainer.seeding import seeded

__all__ = ["HEADS", "HeadBuilder", "build_contrast", "build_segmentor"]

HeadBuilder: TypeAlias = Callable[[FeatureShape, int, ModelConfig], Head]
"""(shape, classes, config) -> the head, a subclass of `Head`."""

HEADS: dict[str, Entry[HeadBuilder]] = {
    "deeplabv3": Entry(code=DeepLabV3Head),
    "hrnet": Entry(code=HRNetHead),
    "ocr": Entry(code=OCRHead),
}
"""The values of `model.head`."""


def build_contrast(config: ContrastConfig, classes: int) -> PixelContrast:
    """Build the contrastive loss with its bank. Raises ValueError for source `none` and for a bank above its limit."""
    return ReleasedContrast(config, classes) if config.as_released else PixelContrast(config, classes)


def build_segmentor(
    config: ModelConfig, contrast: ContrastConfig, *, classes: int, seed: int, channels_last: bool = True
) -> Segmentor:
    """Build the network of a trial; with contrast source `none` it has no projection.

    Backbone and head are initialised from the streams below `init` of `seed`, the projection from `projection`, so a
    baseline and a contrast row of equal seed start from equal weights. Raises ValueError and WeightsError of
    `build_backbone`.
    """
    with seeded(seed, "init", "backbone"):
        deep_stem = setting(config, "stem") == "deep"
        backbone = build_backbone(
            config.backbone, config.weights, config.output_stride, deep_stem=deep_stem, plugin=config.backbone_plugin
        )
    align_corners: bool = setting(config, "align_corners")
    shape = FeatureShape(
        channels=backbone.channels,
        strides=backbone.strides,
        parallel=backbone.parallel,
        align_corners=align_corners,
    )
    with seeded(seed, "init", "head"):
        head = chosen(HEADS, config.head, config.head_plugin)(shape, classes, config)
    projection = None
    if contrast.source != "none":
        with seeded(seed, "projection"):
            projection = Projection(head.tap_channels, contrast.embedding_dim, contrast.projection_channels)
    layout = torch.channels_last if channels_last else torch.contiguous_format
    network = Segmentor(backbone, head, projection, layout, align_corners=align_corners)
    return network.to(memory_format=layout)
