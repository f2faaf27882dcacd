"""The user's own data, as `classes.yaml` describes it (`trainer.data.reading.description`; docs/own_data.md).

Without patterns the files are `images/SPLIT/STEM.jpg` (or .jpeg, .png) and `labels/SPLIT/STEM.png`, and the splits are
the folders in `images`. `trainval` is train and val together.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from trainer.data.reading.cache import DecodedCache
from trainer.data.reading.decode import DecodedImage, decode_scaled
from trainer.data.reading.description import Description, read_description
from trainer.data.reading.listing import FilePair, Listing
from trainer.data.reading.matching import Matched, match
from trainer.data.reading.membership import Folders, Lists, Shares, by_lists, by_shares, stems_in
from trainer.data.reading.pairs import PairsOnDisk
from trainer.data.source import Pixels
from trainer.errors import DataError

__all__ = ["DESCRIPTION", "Folder"]

DESCRIPTION = "classes.yaml"
"""Name of the description in the folder of a data set."""
FIRST = ("train", "val", "test")


class Folder(PairsOnDisk):
    """The data set in `root`. Raises DataError if its description is missing or wrong."""

    def __init__(
        self, root: str | Path, *, description: str | Path | None = None, cache: DecodedCache | None = None
    ) -> None:
        """`description` is its file, if that is not `classes.yaml` in `root`."""
        super().__init__(root, cache=cache)
        path = self.root / DESCRIPTION if description is None else Path(description).expanduser()
        if not path.is_file():
            raise DataError(
                f"{path}: no such description; `python -m trainer.data init {self.root} --out FILE` proposes one, "
                "for `data.classes: FILE`"
            )
        self.description: Description = read_description(path)
        self.title = self.description.title
        self.class_names, self.palette = self.description.class_names, self.description.palette
        self.folders = self._folders()
        self.split_parts = split_parts(self.folders)
        self._matched: Matched | None = None

    def _folders(self) -> Mapping[str, str]:
        """What stands for `{split}` in each split; for lists and shares, nothing."""
        splits = self.description.splits
        if isinstance(splits, Lists):
            return dict.fromkeys(splits.lists, "")
        if isinstance(splits, Shares):
            return dict.fromkeys(splits.shares, "")
        if splits.names:
            return splits.names
        there = self.description.images.split_names(self.root)
        names = [*(name for name in FIRST if name in there), *sorted(there.difference(FIRST))] or ["train"]
        return {name: name for name in names}

    def list_part(self, part: str) -> Listing:
        """The files of a split."""
        splits = self.description.splits
        if isinstance(splits, Folders):
            matched = match(self.root, self.description, self.folders[part])
            return listing_of(matched, [*matched.pairs, *matched.alone], [])
        matched = self._all()
        if isinstance(splits, Lists):
            try:
                chosen, problems = self._by_lists(splits)
            except DataError as error:
                return Listing((), (str(error),))
            return listing_of(matched, [name for name, split in chosen.items() if split == part], problems[part])
        groups = {name: self.group(name) for name in (*matched.pairs, *matched.alone)}
        chosen = by_shares(groups, groups, splits)
        members = [name for name, split in chosen.items() if split == part]
        what = "folders" if self.description.group_folders else "images"
        share = f"{splits.shares[part]:g} of {len(set(groups.values()))} {what}"
        problems_of_share = [f"{self.description.path}: splits: {part} is empty ({share}); raise its share"]
        return listing_of(matched, members, [] if members or matched.problems else problems_of_share)

    def _all(self) -> Matched:
        """All images and labels, for lists and shares."""
        if self._matched is None:
            self._matched = match(self.root, self.description)
        return self._matched

    def _by_lists(self, splits: Lists) -> tuple[dict[str, str], dict[str, list[str]]]:
        """The split of each image on a list, and the problems of each split. Raises DataError."""
        lists = {name: self._stems(items) for name, items in splits.lists.items()}
        sources = {
            name: items if isinstance(items, str) else f"{self.description.path}: splits.{name}"
            for name, items in splits.lists.items()
        }
        return by_lists(self._all().images, lists, sources, self._place)

    @property
    def listed(self) -> frozenset[str]:
        """The images on lists, by folder and stem; none if a list cannot be read, or there are no lists."""
        splits = self.description.splits
        with suppress(DataError):
            if isinstance(splits, Lists):
                return frozenset(self._by_lists(splits)[0])
        return frozenset()

    @property
    def listings(self) -> Mapping[str, Listing]:
        """The pairs and problems of each split."""
        return {part: self._listing(part) for part in self.splits}

    def _place(self, name: str) -> Path:
        """Where the image with this folder and stem should be."""
        folder, _, stem = name.rpartition("/")
        return self.root / self.description.images.place("", folder, stem)

    def _stems(self, items: str | tuple[str, ...]) -> tuple[str, ...]:
        """The items of a list, which lies beside the description or in the data set. Raises DataError."""
        if not isinstance(items, str):
            return items
        beside = self.description.path.parent / Path(items).expanduser()
        return stems_in(beside if beside.is_file() else self.root / items)

    def group(self, stem: str) -> str:
        """The folder of an image, if the description says so; else the image itself."""
        return stem.rpartition("/")[0] or stem if self.description.group_folders else stem

    def read_image(self, path: Path) -> DecodedImage:
        """The image in a file; of more than 8 bits if the description has a range."""
        description = self.description
        remedy = f"add `image_range: [LOW, HIGH]` to {description.path}, the values that become black and white"
        return decode_scaled(path, description.image_range, description.channels, remedy)

    def read_label(self, path: Path) -> Pixels:
        """The classes in a label file."""
        return self.description.codes.read(path, self.legal_ids)

    @property
    def legal_ids(self) -> str:
        """The remedy for an id or colour without a meaning."""
        codes, where = self.description.codes, self.description.path
        if codes.colours or not codes.plain:
            return f"add it to map or ignore in {where}"
        return f"{super().legal_ids}; or add `map` or `ignore` to {where}"

    def content(self, files: Iterable[Path]) -> Iterator[str]:
        """What the description says beyond the names of `files`, as far as it changes pixels or membership."""
        description, wanted = self.description, set(files)
        if not description.codes.plain:
            yield f"codes {description.codes.content()}"
        if description.image_range is not None:
            yield f"image_range {description.image_range}"
        if description.channels is not None:
            yield f"channels {description.channels}"
        if description.group_folders:
            yield "group folder"
        for part in sorted(self._listings):
            for pair in self._listings[part].pairs:
                if pair.image in wanted and not self._is_named_so(part, pair):
                    image, label = (path.relative_to(self.root).as_posix() for path in (pair.image, pair.label))
                    yield f"pair {part}\t{pair.stem}\t{image}\t{label}"

    def _is_named_so(self, part: str, pair: FilePair) -> bool:
        """Whether the names of the files of a pair say all: they lie where files without patterns do."""
        image = self.root / "images" / part
        return pair.image.parent == image and pair.label == self.root / "labels" / part / f"{pair.image.stem}.png"

    def _forget_listings(self) -> None:
        super()._forget_listings()
        self._matched = None


def split_parts(names: Iterable[str]) -> Mapping[str, tuple[str, ...]]:
    """Each split with itself as its only part, and `trainval`."""
    parts = {name: (name,) for name in names}
    return {**parts, "trainval": ("train", "val")} if {"train", "val"} <= set(parts) else parts


def listing_of(matched: Matched, members: Iterable[str], problems: Iterable[str]) -> Listing:
    """The pairs of some names, and what is wrong with them."""
    names = sorted(members)
    return Listing(
        tuple(matched.pairs[name] for name in names if name in matched.pairs),
        (*matched.problems, *problems, *(matched.alone[name] for name in names if name in matched.alone)),
    )
