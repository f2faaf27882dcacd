"""The interface of data sets: pairs of image and label, checks, and a digest of the content.

Imports no torch, because planning a sweep checks and digests data sets.
Axes: H W image height and width, C classes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from trainer.errors import DataError

__all__ = [
    "IGNORE_INDEX",
    "UNNAMED",
    "Colour",
    "Examined",
    "Pair",
    "PairFacts",
    "Pixels",
    "Source",
    "overlap",
    "require_labels",
]

IGNORE_INDEX = 255
"""Label of void pixels, which no loss and no metric counts; void is not a class (docs/released_code.md, 15)."""

UNNAMED = "own data"
"""Title of a data set without a name."""

Colour: TypeAlias = tuple[int, int, int]
"""RGB, 0..255."""

Pixels: TypeAlias = NDArray[np.uint8]
"""8-bit pixels of an image (H, W, 3) or a label (H, W)."""

Pair: TypeAlias = tuple[Pixels, Pixels]
"""`image_HW3` in RGB and `label_HW` with ids 0..C-1 or `IGNORE_INDEX`; both may be read-only."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PairFacts:
    """What a census counts of one pair."""

    pixels_256: NDArray[np.int64]
    """Pixels of each label, void among them."""
    size: tuple[int, int]
    """(width, height) of the image as it is shown, pixels."""
    mode: str
    """How the image is stored: `RGB`, `L`, `P`, ..."""
    turned: bool
    """The image is stored in another orientation than it is shown (EXIF)."""
    contrast: float
    """Standard deviation of the image's grey values, 0..127.5."""
    pixel_hash: str
    """Hexadecimal hash of the pixels and the size of the image."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Examined:
    """A pair that decodes, and what a census counts of it."""

    pair: Pair
    facts: PairFacts


class Source(Protocol):
    """A labelled data set with named splits. Equal calls give equal pixels in every process."""

    title: str
    """In captions: `CamVid`."""
    class_names: tuple[str, ...]
    """Names by class id; void is not a class."""
    palette: tuple[Colour, ...]
    """Colours by class id."""
    unlabelled: frozenset[str]
    """Splits with dummy labels, which cannot be used for training or evaluation."""

    @property
    def splits(self) -> tuple[str, ...]:
        """The disjoint splits that exist, without unions such as `trainval`."""

    def size(self, split: str) -> int:
        """Number of pairs in `split`. Raises DataError if there is no such split."""

    def stems(self, split: str) -> tuple[str, ...]:
        """Names of the pairs of `split`, in index order."""

    def sizes(self, split: str) -> Iterator[tuple[int, int]]:
        """Width and height of each image of `split` as it is stored, without decoding it. Raises DataError."""

    def read(self, split: str, index: int) -> Pair:
        """Pair `index` of `split`. Raises DataError if it cannot be decoded or has illegal ids."""

    def parts(self, split: str) -> tuple[str, ...]:
        """The `splits` that `split` consists of, or of which it is a part. Raises DataError if there is none."""

    def examine(self, split: str) -> Iterator[tuple[str, Examined | DataError]]:
        """Stem of each pair with its pixels or its error; errors of the whole split come first, with an empty stem."""

    def digest(self) -> str:
        """Hexadecimal hash of the content: relative names and bytes of images and labels, class names, decoder."""

    def signature(self) -> str:
        """Cheap hexadecimal hash that changes whenever a file is written; used as a cache key for `digest`."""

    def check_layout(self) -> None:
        """Raise DataError with file and remedy unless every image has a label and every label an image."""


def require_labels(source: Source, split: str) -> None:
    """Raise DataError if `split` has dummy labels."""
    if split in source.unlabelled:
        others = ", ".join(name for name in source.splits if name not in source.unlabelled)
        raise DataError(f"the labels of split {split!r} are dummies (the real ones are not public); choose {others}")


SEARCH, WITHOUT_SEARCH = "search", "train_without_search"
"""Of a data set of files, the pairs of train that are held out for searches, and the others."""
HELD_OUT = (WITHOUT_SEARCH, SEARCH)


def overlap(source: Source, split: str, other: str) -> bool:
    """Whether two splits have pairs in common. Raises DataError for an unknown split."""
    shared = not set(source.parts(split)).isdisjoint(source.parts(other))
    return shared and {split, other} != set(HELD_OUT)
