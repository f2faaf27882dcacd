"""Images and labels that lie below an own data set and are not used: counted, with the first of each kind."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from trainer.data.files.folder import Folder
from trainer.data.reading.membership import Folders, Shares
from trainer.data.reading.path_pattern import IMAGE_ENDINGS, LABEL_ENDINGS, Found, PathPattern
from trainer.data.source import Source

__all__ = ["left_over"]

CONVERTIBLE = ("avif", "dcm", "exr", "heic", "jfif", "jp2", "pgm", "ppm", "tga")
"""Endings of images that cannot be read here."""
MOST_GROUPS = 8


def left_over(source: Source) -> Iterator[str]:
    """What is not used, one sentence each; what is broken is not among it. Nothing for data sets of other layouts."""
    if isinstance(source, Folder):
        yield from LeftOver(source).sentences()


class LeftOver:
    """The files of a data set by what they are used for."""

    def __init__(self, source: Folder) -> None:
        self.source, self.root = source, source.root
        self.description = description = source.description
        self.words = [word for word in ("split", "folder", "stem") if description.labels.has(word)]
        self.labels = {found.path: found for found in description.labels.find(self.root)}
        self.images = {
            found.path: found for found in description.images.find(self.root) if found.path not in self.labels
        }
        pairs = [pair for listing in source.listings.values() for pair in listing.pairs]
        self.used = {path.relative_to(self.root).as_posix() for pair in pairs for path in (pair.image, pair.label)}

    def sentences(self) -> Iterator[str]:
        """All of them."""
        yield from self.of_images()
        yield from self.of_labels()
        known = self.images.keys() | self.labels.keys()
        everything = PathPattern("**/*", (*IMAGE_ENDINGS, *CONVERTIBLE)).find(self.root)
        yield from self.of_others({found.path for found in everything if found.path not in known})

    def of_images(self) -> Iterator[str]:
        """Images that the pattern takes: in no split, or without label."""
        unused = [found for found in self.images.values() if found.path not in self.used]
        outside = [found for found in unused if not self.is_in_split(found)]
        yield from counted(outside, "image", f"in no split of {self.description.path}")
        if self.description.skip_unpaired:  # else they are broken
            keys = {self.key(found) for found in self.labels.values()}
            alone = [found for found in unused if self.is_in_split(found) and self.key(found) not in keys]
            yield from counted(alone, "image", "without label (unpaired: skip)")

    def of_labels(self) -> Iterator[str]:
        """Labels that the pattern takes and that match no image."""
        keys = {self.key(found) for found in self.images.values()}
        alone = [found for found in self.labels.values() if self.key(found) not in keys]
        splits = self.description.splits
        if isinstance(splits, Folders) and self.description.labels.has("split"):
            broken = [] if self.description.skip_unpaired else [found for found in alone if self.is_in_split(found)]
        else:
            broken = alone if isinstance(splits, Shares) and not self.description.skip_unpaired else []
        yield from counted([found for found in alone if found not in broken], "label", "without image")

    def of_others(self, rest: set[str]) -> Iterator[str]:
        """Files that no pattern takes: only because of their ending, or at all, by folder and ending."""
        for what, pattern, endings, taken in (
            ("images", self.description.images, IMAGE_ENDINGS, self.images),
            ("labels", self.description.labels, LABEL_ENDINGS, self.labels),
        ):
            keys = {self.key(found) for found in taken.values()}
            near: dict[str, list[Found]] = {}
            for found in PathPattern(pattern.without_ending, endings).find(self.root):
                if found.path in rest and self.key(found) not in keys:
                    near.setdefault(Path(found.path).suffix.lower(), []).append(found)
                    rest.discard(found.path)
            for ending, files in near.items():
                yield from counted(
                    files, f"{ending} file", f"that no pattern takes (if {what}: add {ending} to {what})"
                )
        groups: dict[tuple[str, str], list[str]] = {}
        for path in sorted(rest):
            groups.setdefault((path.rpartition("/")[0].partition("/")[0], Path(path).suffix.lower()), []).append(path)
        for (_, ending), paths in list(groups.items())[:MOST_GROUPS]:
            remedy = f" ({ending} cannot be read: convert to .png or .tif)" if ending[1:] in CONVERTIBLE else ""
            yield from counted(paths, f"{ending} file", f"that no pattern takes{remedy}")
        if len(groups) > MOST_GROUPS:
            yield f"files that no pattern takes in {len(groups) - MOST_GROUPS} more folders"

    def is_in_split(self, found: Found) -> bool:
        """Whether a file is of a split, by its folder or by a list."""
        splits = self.description.splits
        if isinstance(splits, Folders):
            return found.split in self.source.folders.values()
        return isinstance(splits, Shares) or found.name in self.source.listed

    def key(self, found: Found) -> tuple[str, ...]:
        """What an image and its label have in common."""
        return tuple(getattr(found, word) for word in self.words)


def counted(files: Sequence[Found | str], what: str, why: str) -> Iterator[str]:
    """`12 images of no split, the first is a.png`; nothing without files."""
    if files:
        first = min(item if isinstance(item, str) else item.path for item in files)
        yield f"{len(files)} {what}{'' if len(files) == 1 else 's'} {why}; the first is {first}"
