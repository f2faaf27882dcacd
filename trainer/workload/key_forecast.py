"""How many positives and negatives an anchor of each row is expected to meet, worked out without training.

The formulas follow `trainer.contrast`: keys of the mini-batch and of the bank at the end of training, then what the
miner chooses among them. They take the mean number of pixels of each class, and classes that are shown independently
of each other, so single steps differ.   Axes: C classes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from orchestrator.machine.first_few import first_few
from trainer.config import ContrastConfig, DataConfig, TrainConfig, keys_per_class, setting
from trainer.workload.datasets import DataFacts

__all__ = ["FACTOR", "KeysPerAnchor", "TrainPixels", "describe_keys", "expected_keys", "name_rows"]

FACTOR = 2.0
"""Rows whose keys per anchor differ by more than this are not compared on equal terms."""

HRNET_STRIDE = 4
"""Of the embedding with the HRNet head, or with an HRNet as backbone; otherwise it is `model.output_stride`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class KeysPerAnchor:
    """Means over the anchors of a step."""

    positives: float
    negatives: float

    @property
    def text(self) -> str:
        """`1,024 positives and 2,048 negatives`."""
        return f"{self.positives:,.0f} positives and {self.negatives:,.0f} negatives"


@dataclass(frozen=True, slots=True)
class TrainPixels:
    """Where the labelled pixels of the training images are."""

    share_C: tuple[float, ...]
    """Share of all pixels that have each class; void is what is missing to 1."""
    presence_C: tuple[float, ...]
    """Share of the images that show each class."""

    @classmethod
    def evenly(cls, classes: int) -> TrainPixels:
        """As many pixels of every class, in every image."""
        return cls((1 / classes,) * classes, (1.0,) * classes)

    @classmethod
    def of(cls, config: DataConfig, facts: DataFacts) -> TrainPixels:
        """As the census of the training split counted them; evenly for data without a census."""
        if facts.census is None:
            return cls.evenly(facts.classes)
        split = facts.census.of(facts.parts[config.train_split])
        pixels, images = max(split.labelled + split.void, 1), max(split.images, 1)
        return cls(
            tuple(count / pixels for count in split.pixels),
            tuple(count / images for count in split.images_with),
        )


def expected_keys(config: TrainConfig, pixels: TrainPixels) -> KeysPerAnchor | None:
    """Expected keys per anchor at the end of training; None for a row without contrast."""
    if config.contrast.source == "none":
        return None
    on_map = config.model.head == "hrnet" or config.model.backbone.startswith("hrnet")
    stride = HRNET_STRIDE if on_map else config.model.output_stride
    image_pixels = (config.data.crop[0] // stride) * (config.data.crop[1] // stride)
    batch = config.schedule.batch_size
    images = batch // setting(config.schedule, "accumulation_steps")
    return count_keys(config.contrast, image_pixels, images, batch * config.schedule.steps, pixels)


@lru_cache(maxsize=4096)
def count_keys(
    contrast: ContrastConfig, image_pixels: int, images: int, images_seen: int, pixels: TrainPixels
) -> KeysPerAnchor:
    """Keys per anchor of a micro-batch of `images` maps with `image_pixels` pixels, after `images_seen` images."""
    most, memory, mining = keys_per_class(contrast), contrast.memory, contrast.mining
    offered_C, stored_C, own_C, anchors_C = [], [], [], []
    shown = shuffled_presence if contrast.labels == "shuffled" and contrast.source == "inter_image" else None
    for share, presence in zip(pixels.share_C, pixels.presence_C, strict=True):
        presence = shown(share, presence, image_pixels, images) if shown else presence
        in_image = share * image_pixels / presence if presence else 0.0
        in_scope = in_image if contrast.source == "intra_image" else in_image * presence * images
        own = min(most, in_scope)
        offered = own * presence if contrast.source == "intra_image" else own
        stored = 0.0
        if memory.kind in ("pixel", "pixel_region"):
            pushed = images_seen * presence * min(memory.pixels_per_image, in_image)
            stored += min(memory.pixels_per_class, pushed)
        if memory.kind in ("region", "pixel_region"):
            stored += min(memory.regions_per_class, images_seen * presence)
        if contrast.as_released:  # compares with the bank alone
            own = offered = 0.0
        own_C.append(own - own / max(in_scope, 1.0))  # without the anchor's own pixel, if that is a key
        offered_C.append(offered)
        stored_C.append(stored)
        anchors_C.append(min(contrast.anchors.per_class, in_image * presence * images))
    every = sum(offered_C) + sum(stored_C)

    def chosen(candidates: float) -> float:
        return float(math.ceil(mining.hard_fraction * candidates)) if mining.kind == "semi_hard" else candidates

    positives = [min(mining.positives, chosen(own + stored)) for own, stored in zip(own_C, stored_C, strict=True)]
    negatives = [
        min(mining.negatives, chosen(every - offered - stored))
        for offered, stored in zip(offered_C, stored_C, strict=True)
    ]
    anchors = sum(anchors_C) or 1.0
    return KeysPerAnchor(
        positives=sum(number * weight for number, weight in zip(positives, anchors_C, strict=True)) / anchors,
        negatives=sum(number * weight for number, weight in zip(negatives, anchors_C, strict=True)) / anchors,
    )


def shuffled_presence(share: float, presence: float, image_pixels: int, images: int) -> float:
    """Share of the images that show a class after its pixels are scattered over the images of a micro-batch."""
    in_batch = 1 - (1 - presence) ** images
    return in_batch * (1 - (1 - min(share / in_batch, 1.0)) ** image_pixels) if in_batch else 0.0


def describe_keys(rows: Mapping[str, KeysPerAnchor | None]) -> list[str]:
    """Lines for the terminal: the expected keys per anchor of the rows with contrast, and whether they differ much."""
    labels: dict[str, list[str]] = {}
    found = {label: keys for label, keys in rows.items() if keys is not None}
    for label, keys in found.items():
        labels.setdefault(keys.text, []).append(label)
    if not labels:
        return []
    if len(labels) == 1:
        return [f"keys per anchor, expected: {next(iter(labels))}"]
    lines = ["keys per anchor, expected: " + "; ".join(f"{text} ({name_rows(rows)})" for text, rows in labels.items())]
    names = [
        name
        for name, values in (
            ("positives", [keys.positives for keys in found.values()]),
            ("negatives", [keys.negatives for keys in found.values()]),
        )
        if max(values) > FACTOR * min(values)
    ]
    if names:
        lines.append(
            f"note: rows differ by more than a factor of {FACTOR:g} in {' and '.join(names)} per anchor, so their "
            "differences may come from that number"
        )
    return lines


MOST_NAMED = 6


def name_rows(labels: Sequence[str]) -> str:
    """The first labels, and how many more there are."""
    return first_few(labels, MOST_NAMED, "; ")
