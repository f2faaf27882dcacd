"""What every data set offers: pairs of image and label, checks, and a digest of their content.

No torch here: planning a sweep checks and digests data sets without it.
Axes: H W image height and width, C classes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from trainer.errors import DataError

__all__ = ["IGNORE_INDEX", "Pair", "Pixels", "Source", "require_labels"]

IGNORE_INDEX = 255
"""Label of void pixels: no class, no loss, no metric (method.md section 4, defect 15)."""

Pixels: TypeAlias = NDArray[np.uint8]
"""8-bit pixels of an image (H, W, 3) or a label (H, W)."""

Pair: TypeAlias = tuple[Pixels, Pixels]
"""`image_HW3` in RGB and `label_HW` with ids 0..C-1 or `IGNORE_INDEX`; both may be read-only."""


class Source(Protocol):
    """A labelled data set with named splits. Equal calls give equal pixels, in every process."""

    class_names: tuple[str, ...]
    """Name of class id 0, 1, ...; void is not a class."""
    palette: tuple[tuple[int, int, int], ...]
    """RGB colour of each class, 0..255."""
    unlabelled: frozenset[str]
    """Splits whose labels are dummies: nothing may be trained or scored on them."""

    @property
    def splits(self) -> tuple[str, ...]:
        """The disjoint splits that there are; unions such as `trainval` are not among them."""

    def size(self, split: str) -> int:
        """Pairs in `split`. Raises DataError when there is no such split."""

    def stems(self, split: str) -> tuple[str, ...]:
        """Names of the pairs of `split`, in index order."""

    def read(self, split: str, index: int) -> Pair:
        """Pair `index` of `split`. Raises DataError when it cannot be decoded or its ids are not legal."""

    def examine(self, split: str) -> Iterator[tuple[str, Pair | DataError]]:
        """Stem and pixels of each pair of `split`, or what is wrong with it: everything, not the first alone.

        What is wrong with the split as a whole comes first, under an empty stem.
        """

    def digest(self) -> str:
        """Hexadecimal hash of the content alone: relative names and bytes of images and labels."""

    def signature(self) -> str:
        """Cheap hexadecimal hash that changes when a file does; a key under which to remember `digest`."""

    def check_layout(self) -> None:
        """Raise DataError, naming file and remedy, unless every image has its label and every label its image."""

    def check_labels(self) -> None:
        """Raise DataError, naming file and remedy, unless every label decodes, fits its image and has legal ids."""


def require_labels(source: Source, split: str) -> None:
    """Raise DataError when `split` is one that can be neither trained nor scored on."""
    if split in source.unlabelled:
        others = ", ".join(name for name in source.splits if name not in source.unlabelled)
        raise DataError(f"the labels of split {split!r} are dummies, its true ones are not public; choose {others}")
