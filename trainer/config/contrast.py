"""The contrastive loss: anchors, mining, memory."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Literal

from orchestrator.workload.fields import limit, optional, require, setting, unset_implied
from trainer.config.plugin_part import PluginPart, plugin_part

__all__ = [
    "AnchorConfig",
    "ContrastConfig",
    "MemoryConfig",
    "MiningConfig",
    "effective_contrast",
    "effective_memory",
    "keys_per_class",
]


@dataclass(frozen=True, kw_only=True, slots=True)
class AnchorConfig:
    """Which pixels of a mini-batch are anchors (paper, section 3.3)."""

    kind: Literal["random", "hard"] = "hard"
    """`random`, or `hard`: half of a class's anchors are misclassified pixels, half random."""
    per_class: int = 50
    """Anchors per class and mini-batch."""
    min_pixels: int = 1
    """A class with fewer labelled pixels in the mini-batch (at embedding stride) has no anchors."""
    plugin: PluginPart | None = plugin_part("ANCHOR_SAMPLERS", "kind")

    def __post_init__(self) -> None:
        require(self.per_class >= 1, "contrast.anchors.per_class", "must be at least 1")
        require(self.min_pixels >= 1, "contrast.anchors.min_pixels", "must be at least 1")


@dataclass(frozen=True, kw_only=True, slots=True)
class MiningConfig:
    """Which positives and negatives an anchor is compared with (paper, section 3.3)."""

    kind: Literal["random", "hardest", "semi_hard"] = "semi_hard"
    """`random`; `hardest`: the top K; `semi_hard`: K at random among the hardest `hard_fraction`."""
    positives: int = 1024
    """Maximum number of positives per anchor."""
    negatives: int = 2048
    """Maximum number of negatives per anchor."""
    hard_fraction: float = 0.1
    """Share of candidates that `semi_hard` keeps before the random draw."""
    plugin: PluginPart | None = plugin_part("MINERS", "kind")

    def __post_init__(self) -> None:
        require(self.positives >= 1, "contrast.mining.positives", "must be at least 1")
        require(self.negatives >= 1, "contrast.mining.negatives", "must be at least 1")
        require(0 < self.hard_fraction <= 1, "contrast.mining.hard_fraction", "must be in (0, 1]")


@dataclass(frozen=True, kw_only=True, slots=True)
class MemoryConfig:
    """Embeddings of past images, kept per class in FIFO queues (paper, section 3.2)."""

    kind: Literal["none", "pixel", "region", "pixel_region"] = "pixel_region"
    """Which queues exist."""
    pixels_per_class: int = 1000
    """Capacity of a class's pixel queue, embeddings; in the paper, 10 x the number of training images."""
    regions_per_class: int = 100
    """Capacity of a class's region queue, embeddings; in the paper, the number of training images."""
    pixels_per_image: int = 10
    """Random pixels per class and image that are pushed into the pixel queue."""
    dtype: Literal["float32", "bfloat16", "float16"] | None = None
    """Type of the stored embeddings; not set: float32. Similarities are always computed in float32."""
    max_gigabytes: float | None = limit()
    """Maximum size of the bank, GB (1e9 bytes); not set: 4. A larger bank is refused."""

    def __post_init__(self) -> None:
        for name in ("pixels_per_class", "regions_per_class", "pixels_per_image"):
            require(getattr(self, name) >= 1, f"contrast.memory.{name}", "must be at least 1")
        cap = self.max_gigabytes
        require(cap is None or cap > 0, "contrast.memory.max_gigabytes", "must be positive")


@dataclass(frozen=True, kw_only=True, slots=True)
class ContrastConfig:
    """The pixel-wise contrastive loss beside the cross-entropy (paper, equations 3 to 5)."""

    source: Literal["none", "intra_image", "inter_image"] = "inter_image"
    """Where positives and negatives come from: nowhere, the anchor's own image, or mini-batch plus memory."""
    weight: float = 0.1
    """Factor of the contrastive loss; independent of the temperature."""
    temperature: float = 0.1
    """Divides the cosine similarities."""
    warmup_fraction: float = 0.125
    """Share of the steps before the loss is used; the queues are filled meanwhile."""
    embedding_dim: int = 256
    """Width of the projected, L2-normalised embedding."""
    projection_channels: int | None = None
    """Hidden width of the projection head; not set: the width of its input features."""
    keys_per_class: int | None = None
    """Maximum number of pixels per class of the mini-batch (`inter_image`) or of each image (`intra_image`) that are
    keys; not set: as many as `mining` can use, so that every row is offered as many keys as its pixels allow."""
    anchors: AnchorConfig = field(default_factory=AnchorConfig)
    mining: MiningConfig = field(default_factory=MiningConfig)
    memory: MemoryConfig = field(default_factory=MemoryConfig)
    as_released: Literal[True] | None = None
    """Reproduce defects 1 to 5 of the released code's memory (docs/released_code.md) to measure what they cost; not
    set: the paper's method. Needs `inter_image` with a memory."""
    labels: Literal["ground_truth", "shuffled"] | None = optional("ground_truth")
    """`shuffled`: the contrast sees labels that are permuted among the pixels that it compares, anew at each step: a
    control that tells a gain by labels from one by regularisation. The supervised loss sees the ground truth."""

    def __post_init__(self) -> None:
        with_bank = self.source == "inter_image" and self.memory.kind != "none"
        require(
            not self.as_released or with_bank or self.source == "none",
            "contrast.as_released",
            "reproduces defects of the memory; set contrast.source inter_image and a contrast.memory.kind",
        )
        require(
            not self.as_released or setting(self, "labels") == "ground_truth",
            "contrast.labels",
            "shuffled is not supported with contrast.as_released, whose memory is filed under wrong labels anyway; "
            "remove one of them",
        )
        require(self.weight >= 0, "contrast.weight", "must not be negative")
        require(self.temperature > 0, "contrast.temperature", "must be positive")
        require(0 <= self.warmup_fraction < 1, "contrast.warmup_fraction", "must be in [0, 1)")
        require(self.embedding_dim >= 2, "contrast.embedding_dim", "must be at least 2")
        hidden = self.projection_channels
        require(hidden is None or hidden >= 1, "contrast.projection_channels", "must be at least 1")
        keys = self.keys_per_class
        require(keys is None or keys >= 1, "contrast.keys_per_class", "must be at least 1")


def keys_per_class(contrast: ContrastConfig) -> int:
    """Maximum number of keys per class of the mini-batch, or of each image.

    `contrast.keys_per_class`, or if that is not set what `mining` can use: from that many pixels of two classes each
    miner chooses all its positives and negatives. It does not depend on the miner, so that rows with different miners
    choose among the same keys.
    """
    if contrast.keys_per_class is not None:
        return contrast.keys_per_class
    mining = contrast.mining
    return math.ceil(max(mining.positives, mining.negatives) / mining.hard_fraction) + 1


def effective_contrast(contrast: ContrastConfig) -> ContrastConfig:
    """`contrast` with every field that has no effect at its default: all of them if the loss is off."""
    if contrast.source == "none" or contrast.weight == 0:
        # 100 was the default when trials were first named: without contrast they keep their names.
        return ContrastConfig(source="none", keys_per_class=100, memory=MemoryConfig(kind="none"))
    mining = contrast.mining
    if mining.kind != "semi_hard" and mining.plugin is None:
        mining = replace(mining, hard_fraction=MiningConfig().hard_fraction)
    effective: ContrastConfig = unset_implied(replace(contrast, mining=mining, memory=effective_memory(contrast)))
    return effective


def effective_memory(contrast: ContrastConfig) -> MemoryConfig:
    """The memory that `contrast` actually uses, with unused fields at their defaults."""
    memory, default = contrast.memory, MemoryConfig()
    if memory.dtype == "float32":
        memory = replace(memory, dtype=None)
    if contrast.source != "inter_image" or memory.kind == "none":
        return MemoryConfig(kind="none")
    if memory.kind == "pixel":
        return replace(memory, regions_per_class=default.regions_per_class)
    if memory.kind == "region":
        return replace(memory, pixels_per_class=default.pixels_per_class, pixels_per_image=default.pixels_per_image)
    return memory
