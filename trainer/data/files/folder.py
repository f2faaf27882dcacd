"""The user's own data: `images/SPLIT/STEM.jpg`, `labels/SPLIT/STEM.png` (8-bit ids, 255 void) and `classes.yaml`.

The splits are the folders in `images`; `trainval` is train and val together.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from trainer.data.reading.cache import DecodedCache
from trainer.data.reading.class_file import read_classes
from trainer.data.reading.listing import Listing, list_folders
from trainer.data.reading.pairs import PairsOnDisk
from trainer.data.reading.palette import voc_palette

__all__ = ["Folder"]

LAYOUT = "images/SPLIT/STEM.jpg and labels/SPLIT/STEM.png"


class Folder(PairsOnDisk):
    """The data set in `root`. Raises DataError if its `classes.yaml` is missing or wrong."""

    def __init__(self, root: str | Path, *, cache: DecodedCache | None = None) -> None:
        super().__init__(root, cache=cache)
        self.class_names, palette = read_classes(self.root / "classes.yaml")
        self.palette = palette or voc_palette(len(self.class_names))
        self.split_parts = find_splits(self.root / "images")

    def list_part(self, part: str) -> Listing:
        """The files of a split."""
        return list_folders(self.root / "images" / part, self.root / "labels" / part, LAYOUT)


def find_splits(images: Path) -> Mapping[str, tuple[str, ...]]:
    """The folders in `images`, with train, val and test first, and `trainval`. If there is none, only `train`."""
    first = ("train", "val", "test")
    there = {path.name for path in images.iterdir() if path.is_dir()} if images.is_dir() else set()
    names = [*(name for name in first if name in there), *sorted(there.difference(first))] or ["train"]
    parts = {name: (name,) for name in names}
    return {**parts, "trainval": ("train", "val")} if {"train", "val"} <= there else parts
