"""What is drawn at random for a training sample: where its crop lies, whether it is mirrored, how its colours change.

A draw depends on the size of the image, the config and a seed alone. No global random state is used. How pixels follow
from a draw is up to the renderers: `transforms` on the CPU, `device` and `resident` on a GPU.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from random import Random
from typing import Literal, TypeAlias

from trainer.config import DataConfig

__all__ = ["ColourChange", "SampleDraw", "Span", "between", "draw_sample", "draw_span"]

ColourChange: TypeAlias = Literal["brightness", "contrast", "saturation"]
"""An operation of torchvision's ColorJitter."""

COLOUR_CHANGES: tuple[ColourChange, ...] = ("brightness", "contrast", "saturation")


@dataclass(frozen=True, slots=True)
class Span:
    """One axis of a crop: `length` source pixels from `first`, resized to `inside` crop pixels."""

    first: int
    length: int
    inside: int
    before: int
    """Crop pixels of padding before the image."""
    after: int
    """Crop pixels of padding after the image."""

    @property
    def source(self) -> slice:
        """The source pixels."""
        return slice(self.first, self.first + self.length)

    @property
    def place(self) -> slice:
        """Their position in the crop."""
        return slice(self.before, self.before + self.inside)

    @property
    def mirrored(self) -> Span:
        """The same source pixels in a crop that is mirrored along this axis."""
        return replace(self, before=self.after, after=self.before)


@dataclass(frozen=True, slots=True)
class SampleDraw:
    """One training sample of an image."""

    rows: Span
    columns: Span
    """Before the crop is mirrored."""
    flip: bool
    """Whether the crop is mirrored from left to right."""
    changes: tuple[tuple[ColourChange, float], ...]
    """Changes of the colours with their factors, in their order; empty without jitter."""

    @property
    def place(self) -> tuple[slice, slice]:
        """Rows and columns of the finished crop that show the image; the others are padding."""
        return self.rows.place, (self.columns.mirrored if self.flip else self.columns).place


def draw_sample(height: int, width: int, config: DataConfig, seed: int) -> SampleDraw:
    """Draw a sample of an image of `height` x `width` pixels; the base size and the random scale are one resize."""
    random = Random(seed)
    scale = between(random, *config.scale) * config.base_size.factor(height, width)
    rows = draw_span(random, height, scale, config.crop[0])
    columns = draw_span(random, width, scale, config.crop[1])
    flip = random.random() < config.flip_probability
    return SampleDraw(rows, columns, flip, draw_changes(random, config.color_jitter))


def draw_span(random: Random, side: int, scale: float, crop: int) -> Span:
    """Place a crop at random on a side resized by `scale`; a side shorter than the crop is placed inside it."""
    scaled = max(1, round(side * scale))
    slack = scaled - crop
    start = min(slack, 0) + int(random.random() * (abs(slack) + 1))
    first_scaled, last_scaled = max(0, start), min(scaled, start + crop)
    first = math.floor(first_scaled * side / scaled)
    last = math.ceil(last_scaled * side / scaled)
    before = first_scaled - start
    inside = last_scaled - first_scaled
    return Span(first=first, length=last - first, inside=inside, before=before, after=crop - before - inside)


def draw_changes(random: Random, strength: float) -> tuple[tuple[ColourChange, float], ...]:
    """Brightness, contrast and saturation in random order, with factors in 1 +- `strength`; none for strength 0."""
    if strength == 0:
        return ()
    drawn = [(random.random(), change, between(random, 1 - strength, 1 + strength)) for change in COLOUR_CHANGES]
    return tuple((change, factor) for _, change, factor in sorted(drawn, key=lambda item: item[0]))


def between(random: Random, low: float, high: float) -> float:
    """A uniform draw from [low, high)."""
    return low + (high - low) * random.random()
