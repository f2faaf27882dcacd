"""Data set, splits and augmentation."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from orchestrator.workload.fields import limit, location, optional_block, require
from trainer.config.plugin_part import PluginPart, plugin_part

__all__ = ["MIN_CROP", "BaseSizeConfig", "DataConfig", "SyntheticConfig"]

MIN_CROP = 32
"""Smallest side of an image or crop, pixels."""

MAX_SYNTHETIC_SIDE = 8192
"""Largest side of a generated image, pixels; planning a sweep generates its textures."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SyntheticConfig:
    """The built-in street-scene generator; ignored unless `data.name` is `synthetic`."""

    train_images: int = 96
    """Images in the train split."""
    val_images: int = 24
    """Images in the val split."""
    test_images: int = 48
    """Images in the test split."""
    height: int = 96
    """Height of an image, pixels."""
    width: int = 128
    """Width of an image, pixels."""
    seed: int = 0
    """Seed of the scenes; independent of the trial's seed, so that all trials use the same data set."""

    def __post_init__(self) -> None:
        for name in ("train_images", "val_images", "test_images"):
            require(getattr(self, name) >= 1, f"data.synthetic.{name}", "must be at least 1")
        for name in ("height", "width"):
            require(getattr(self, name) >= MIN_CROP, f"data.synthetic.{name}", f"must be at least {MIN_CROP} pixels")
            legal = getattr(self, name) <= MAX_SYNTHETIC_SIDE
            require(legal, f"data.synthetic.{name}", f"must be at most {MAX_SYNTHETIC_SIDE} pixels")


@dataclass(frozen=True, kw_only=True, slots=True)
class BaseSizeConfig:
    """The size to which every image is resized first, with its aspect ratio; not set: images keep their own size.

    In training, the random resize of `data.scale` is relative to this size, and both are one resize. In evaluation, the
    network sees images of this size, and `evaluation` is relative to it. Its logits are resized to the size of the
    label, which is never resized, so figures with and without a base size count the same pixels. The released code does
    so for PASCAL-Context and COCO-Stuff, with a short side of 520 pixels.
    """

    short: int | None = None
    """Length of the shorter side of every image, pixels; the longer side follows. Not together with `long`."""
    long: int | None = None
    """Length of the longer side of every image, pixels; the shorter side follows. Not together with `short`."""

    def __post_init__(self) -> None:
        for name in ("short", "long"):
            side = getattr(self, name)
            require(side is None or side >= MIN_CROP, f"data.base_size.{name}", f"must be at least {MIN_CROP} pixels")
        one = self.short is None or self.long is None
        text = "data.base_size.short is set as well; remove one of the two, or set it to null"
        require(one, "data.base_size.long", text)

    def factor(self, height: int, width: int) -> float:
        """Factor by which an image of `height` x `width` pixels is resized; exactly 1 if no size is set."""
        if self.short is not None:
            return self.short / min(height, width)
        return 1.0 if self.long is None else self.long / max(height, width)

    def resized(self, height: int, width: int) -> tuple[int, int]:
        """Height and width at this size, each rounded to a whole number (halves to the even one), at least 1."""
        factor = self.factor(height, width)
        return max(1, round(height * factor)), max(1, round(width * factor))


@dataclass(frozen=True, kw_only=True, slots=True)
class DataConfig:
    """Data set, splits and augmentation."""

    name: Literal[
        "synthetic", "camvid", "cityscapes", "pascal_context", "coco_stuff_10k", "coco_stuff_164k", "ade20k", "folder"
    ] = "synthetic"
    """Data set: a key of `trainer.data.DATASETS`."""
    root: str | None = location()
    """Folder of the data set on this machine; not needed for `synthetic`."""
    classes: str | None = location()
    """Description of a `folder` on this machine; not set, it is `classes.yaml` in `root`. Other data sets have none."""
    train_split: str = "train"
    """Training split."""
    val_split: str = "val"
    """Split of the learning curve (`val/...`)."""
    test_split: str = "test"
    """Split of the reported figures (`final/...`): the last weights, evaluated once."""
    absent_classes: Literal["refuse", "allow"] | None = limit()
    """Whether a sweep may run although no training label shows some class; not set, it is refused while planning."""
    crop: tuple[int, int] = (96, 128)
    """Height and width of a training crop, pixels."""
    base_size: BaseSizeConfig = optional_block(BaseSizeConfig)
    scale: tuple[float, float] = (0.5, 2.0)
    """Range of the random resize before the crop, as a factor of the image size, or of `base_size` if that is set."""
    flip_probability: float = 0.5
    """Probability of a horizontal flip."""
    color_jitter: float = 0.25
    """Strength of brightness, contrast and saturation jitter (factors as in torchvision); 0 switches it off."""
    synthetic: SyntheticConfig = field(default_factory=SyntheticConfig)
    plugin: PluginPart | None = plugin_part("DATASETS", "name")

    def __post_init__(self) -> None:
        require(min(self.crop) >= MIN_CROP, "data.crop", f"both sides must be at least {MIN_CROP} pixels")
        require(0 < self.scale[0] <= self.scale[1], "data.scale", "must be [low, high] with 0 < low <= high")
        require(0 <= self.flip_probability <= 1, "data.flip_probability", "must be between 0 and 1")
        require(0 <= self.color_jitter <= 1, "data.color_jitter", "must be between 0 and 1")
