"""The census of a data set: what its splits hold, counted pixel by pixel, and what in it is implausible.

It is counted while a sweep is planned and by `python -m trainer.data check`. Imports no torch. Axes: C classes.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import Any, Self

import numpy as np

from trainer.data.problems import Problems
from trainer.data.source import HELD_OUT, IGNORE_INDEX, Pair, PairFacts, Source
from trainer.errors import DataError

__all__ = [
    "Census",
    "Duplicates",
    "SplitCensus",
    "SplitCount",
    "count_pair",
    "describe_sizes",
    "find_duplicates",
    "findings_in",
    "name_some",
    "take_census",
]

NEAR_CONSTANT = 2.0
"""Standard deviation of the grey values, of 255, below which an image counts as near-constant."""

MOST_EXAMPLES = 3
MOST_NAMES = 8
GREY_SAMPLE = 256
"""Rows and columns, at most, of which the contrast of an image is measured."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SplitCensus:
    """What one split holds."""

    images: int
    pixels: tuple[int, ...]
    """Labelled pixels of each class."""
    images_with: tuple[int, ...]
    """Images with each class."""
    void: int
    """Void pixels."""
    unlabelled: int = 0
    """Images whose label is void everywhere."""
    sizes: Mapping[str, int] = field(default_factory=dict)
    """Images by `width x height`, such as `480x360`."""
    modes: Mapping[str, int] = field(default_factory=dict)
    """Images by the mode in which they are stored: `RGB`, `L`, ..."""
    turned: int = 0
    """Images that are turned as their EXIF orientation says."""
    constant: int = 0
    """Near-constant images."""
    constant_examples: tuple[str, ...] = ()
    """Stems of the first of them."""

    @property
    def labelled(self) -> int:
        """Labelled pixels."""
        return sum(self.pixels)

    @property
    def void_share(self) -> float | None:
        """Share of void among all pixels; None without pixels."""
        return self.void / total if (total := self.labelled + self.void) else None

    def merged(self, other: Self) -> Self:
        """The census of both together."""
        return type(self)(
            images=self.images + other.images,
            pixels=tuple(map(sum, zip(self.pixels, other.pixels, strict=True))),
            images_with=tuple(map(sum, zip(self.images_with, other.images_with, strict=True))),
            void=self.void + other.void,
            unlabelled=self.unlabelled + other.unlabelled,
            sizes=Counter(self.sizes) + Counter(other.sizes),
            modes=Counter(self.modes) + Counter(other.modes),
            turned=self.turned + other.turned,
            constant=self.constant + other.constant,
            constant_examples=(*self.constant_examples, *other.constant_examples)[:MOST_EXAMPLES],
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Duplicates:
    """Images that two splits share, pixel by pixel."""

    splits: tuple[str, str]
    count: int
    """Images of the first split that are also in the second."""
    examples: tuple[str, ...]
    """`stem = stem` of the first of them."""

    @property
    def images(self) -> str:
        """`3 images`."""
        return f"{self.count} image{'s' if self.count > 1 else ''}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Census:
    """What a data set holds."""

    class_names: tuple[str, ...]
    splits: Mapping[str, SplitCensus]
    """By disjoint split, and by the two splits into which train is divided for searches."""
    duplicates: tuple[Duplicates, ...] = ()

    def parts_of(self, split: str, parts: Sequence[str]) -> tuple[str, ...]:
        """What was counted of `split`: itself, if it was, else its `parts`."""
        return (split,) if split in self.splits else tuple(parts)

    def of(self, parts: Sequence[str]) -> SplitCensus:
        """The census of a split that consists of `parts`."""
        first, *others = (self.splits[part] for part in parts)
        for other in others:
            first = first.merged(other)
        return first

    def absent(self, parts: Sequence[str]) -> tuple[str, ...]:
        """Names of the classes of which no label of `parts` has a pixel."""
        return tuple(name for name, pixels in zip(self.class_names, self.of(parts).pixels, strict=True) if not pixels)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Inverse of `to_json`."""
        lists = ("pixels", "images_with", "constant_examples")
        return cls(
            class_names=tuple(values["class_names"]),
            splits={
                name: SplitCensus(**{**split, **{key: tuple(split[key]) for key in lists}})
                for name, split in values["splits"].items()
            },
            duplicates=tuple(
                Duplicates(splits=tuple(item["splits"]), count=item["count"], examples=tuple(item["examples"]))
                for item in values["duplicates"]
            ),
        )


class SplitCount:
    """Counts the pairs of one split, one after the other."""

    def __init__(self, classes: int) -> None:
        self.classes = classes
        self.total_256 = np.zeros(IGNORE_INDEX + 1, dtype=np.int64)
        self.images_256 = np.zeros(IGNORE_INDEX + 1, dtype=np.int64)
        self.images = self.unlabelled = self.turned = self.constant = 0
        self.sizes: Counter[str] = Counter()
        self.modes: Counter[str] = Counter()
        self.constant_examples: list[str] = []
        self.stems: dict[str, str] = {}
        """Stem of the first image with each hash of pixels."""

    def add(self, stem: str, facts: PairFacts) -> None:
        """Count a pair."""
        self.images += 1
        self.total_256 += facts.pixels_256
        self.images_256 += facts.pixels_256 > 0
        self.unlabelled += not facts.pixels_256[: self.classes].any()
        self.sizes["x".join(map(str, facts.size))] += 1
        self.modes[facts.mode] += 1
        self.turned += facts.turned
        self.stems.setdefault(facts.pixel_hash, stem)
        if facts.contrast < NEAR_CONSTANT:
            self.constant += 1
            self.constant_examples += [stem] if len(self.constant_examples) < MOST_EXAMPLES else []

    def census(self) -> SplitCensus:
        """The counts so far."""
        return SplitCensus(
            images=self.images,
            pixels=tuple(map(int, self.total_256[: self.classes])),
            images_with=tuple(map(int, self.images_256[: self.classes])),
            void=int(self.total_256[IGNORE_INDEX]),
            unlabelled=self.unlabelled,
            sizes=dict(self.sizes),
            modes=dict(self.modes),
            turned=self.turned,
            constant=self.constant,
            constant_examples=tuple(self.constant_examples),
        )


def count_pair(pair: Pair, *, mode: str, turned: bool) -> PairFacts:
    """The facts about a decoded pair."""
    image_HW3, label_HW = pair
    height, width = label_HW.shape
    sample_hw3 = image_HW3[:: -(-height // GREY_SAMPLE), :: -(-width // GREY_SAMPLE)]
    hashed = hashlib.blake2b(np.ascontiguousarray(image_HW3).data, digest_size=16, person=f"{width}x{height}".encode())
    return PairFacts(
        pixels_256=np.bincount(label_HW.reshape(-1), minlength=IGNORE_INDEX + 1),
        size=(width, height),
        mode=mode,
        turned=turned,
        contrast=float(sample_hw3.mean(axis=2).std()),
        pixel_hash=hashed.hexdigest(),
    )


def take_census(source: Source) -> Census:
    """Decode and count every labelled split. Raises DataError with the first pair that cannot be used."""
    counts: dict[str, SplitCount] = {}
    held_out = dict(held_out_stems(source))
    held_out_counts = {name: SplitCount(len(source.class_names)) for name in held_out}
    problems = Problems()
    for split in source.splits:
        if split in source.unlabelled:
            continue
        counts[split] = SplitCount(len(source.class_names))
        for stem, found in source.examine(split):
            if isinstance(found, DataError):
                problems.add(found)
            else:
                counts[split].add(stem, found.facts)
                for name, stems in held_out.items():
                    if split in source.parts(name) and stem in stems:
                        held_out_counts[name].add(stem, found.facts)
    if broken := problems.lines():
        more = len(broken) - 1
        raise DataError(broken[0] + (f" (and {more} more: `python -m trainer.data check` lists all)" if more else ""))
    return Census(
        class_names=source.class_names,
        splits={split: count.census() for split, count in (counts | held_out_counts).items()},
        duplicates=find_duplicates(counts),
    )


def held_out_stems(source: Source) -> Iterator[tuple[str, frozenset[str]]]:
    """The stems of the splits into which train is divided for searches, if it can be divided."""
    for name in HELD_OUT:
        if name not in source.splits:
            with suppress(DataError):
                yield name, frozenset(source.stems(name))


def find_duplicates(counts: Mapping[str, SplitCount]) -> tuple[Duplicates, ...]:
    """The images that each two splits share."""
    found = []
    names = tuple(counts)
    for place, first in enumerate(names):
        for second in names[place + 1 :]:
            here, there = counts[first].stems, counts[second].stems
            shared = [key for key in here if key in there]
            if shared:
                examples = tuple(f"{here[key]} = {there[key]}" for key in shared[:MOST_EXAMPLES])
                found.append(Duplicates(splits=(first, second), count=len(shared), examples=examples))
    return tuple(found)


def findings_in(census: Census, splits: Collection[str]) -> Iterator[str]:
    """What in `splits` may be a mistake although every file decodes, one sentence each."""
    for name, split in census.splits.items():
        if name not in splits:
            continue
        if absent := census.absent((name,)):
            yield f"no label of {name} shows {name_some(absent)}"
        if split.images == 1:
            yield f"one image only: {name}"
        if split.unlabelled:
            yield f"void everywhere: {split.unlabelled} of {split.images} labels of {name}"
        if split.constant:
            examples = ", ".join(split.constant_examples)
            yield f"near-constant: {split.constant} of {split.images} images of {name} ({examples})"
        if split.turned:
            yield f"turned as their EXIF orientation says: {split.turned} of {split.images} images of {name}"
        if len(split.modes) > 1:
            modes = ", ".join(f"{mode} ({count})" for mode, count in split.modes.items())
            yield f"stored in different modes: the images of {name}, {modes}"
    for item in census.duplicates:
        first, second = item.splits
        if first in splits and second in splits:
            yield f"in both {first} and {second}: {item.images} ({', '.join(item.examples)})"


def name_some(names: Sequence[str]) -> str:
    """The names in one line; of many the first are named and the others counted."""
    more = len(names) - MOST_NAMES
    return ", ".join(names[:MOST_NAMES]) + (f" and {more} more" if more > 0 else "")


def describe_sizes(sizes: Mapping[str, int]) -> str:
    """`480x360 (12)`, or the range of more than three sizes."""
    if len(sizes) <= MOST_EXAMPLES:
        return ", ".join(f"{size} ({count})" for size, count in Counter(sizes).most_common()) or "-"
    widths, heights = zip(*(map(int, size.split("x")) for size in sizes), strict=True)
    return f"{len(sizes)} sizes, {min(widths)}x{min(heights)} to {max(widths)}x{max(heights)}"
