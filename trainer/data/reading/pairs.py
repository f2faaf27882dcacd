"""The base class of data sets of files: splits, digest, signature, checks, and decoding through the cache.

A subclass of `PairsOnDisk` defines its title, classes and splits, lists the files of a split (`list_part`) and, unless
labels are class ids in 8-bit PNG files, maps raw ids to classes (`label_ids`) or reads labels itself (`read_label`).
"""

from __future__ import annotations

import hashlib
import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from trainer.data.census import count_pair
from trainer.data.reading.cache import DamagedEntryError, DecodedCache, DecodedSplit
from trainer.data.reading.decode import (
    UPRIGHT,
    DecodedImage,
    LabelTable,
    decode_image,
    decoder_version,
    frozen,
    image_size,
    label_table,
    raw_label,
    relabel,
    require_same_size,
)
from trainer.data.reading.held_out import is_held_out
from trainer.data.reading.in_order import in_order
from trainer.data.reading.listing import FilePair, Listing
from trainer.data.source import HELD_OUT, IGNORE_INDEX, SEARCH, Colour, Examined, Pair, Pixels
from trainer.errors import DataError

__all__ = ["TRAIN_VAL", "TRAIN_VAL_TEST", "PairsOnDisk"]

TRAIN_VAL: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"train": ("train",), "val": ("val",), "trainval": ("train", "val")}
)
TRAIN_VAL_TEST: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"train": ("train",), "val": ("val",), "test": ("test",), "trainval": ("train", "val")}
)
"""Parts of each split; `trainval` is train and val together."""
JPEG_ENDINGS = (".jpg", ".jpeg")
AS_STORED = "surrogateescape"
"""File names need not be text; each has one form in bytes."""


class PairsOnDisk(ABC):
    """Pairs of files in `root`.

    A part is a split on disk; a split consists of one or more parts. Each part is decoded once per machine to `cache`;
    if the cache has no room, pairs are decoded at each read.
    """

    title: str = ""
    """In captions; empty: `data.name`."""
    class_names: tuple[str, ...]
    palette: tuple[Colour, ...]
    split_parts: Mapping[str, tuple[str, ...]]
    """Parts of each split."""
    optional: frozenset[str] = frozenset()
    """Parts that may be missing."""
    unlabelled: frozenset[str] = frozenset()
    """Splits with dummy labels, which cannot be used for training or evaluation."""

    def __init__(self, root: str | Path, *, cache: DecodedCache | None = None) -> None:
        self.root = Path(root)
        self.cache = DecodedCache.default() if cache is None else cache
        self._listings: dict[str, Listing] = {}
        self._held_out: dict[str, tuple[int, ...]] = {}
        self._decoded: dict[str, DecodedSplit | None] = {}

    @abstractmethod
    def list_part(self, part: str) -> Listing:
        """The files of `part` and its problems."""

    def has_part(self, part: str) -> bool:
        """Whether the optional `part` is on disk."""
        return True

    @property
    def label_ids(self) -> LabelTable:
        """Class of each raw id; by default, raw ids are class ids."""
        return label_table({label: label for label in range(len(self.class_names))})

    @property
    def legal_ids(self) -> str:
        """The remedy for an illegal raw id."""
        return f"map the ids to 0..{len(self.class_names) - 1}, or {IGNORE_INDEX} for void"

    def read_image(self, path: Path) -> DecodedImage:
        """The image in a file. Raises DataError."""
        return decode_image(path)

    def read_label(self, path: Path) -> Pixels:
        """The checked class ids of a label file."""
        return relabel(raw_label(path), self.label_ids, path, self.legal_ids)

    def content(self, files: Iterable[Path]) -> Iterator[str]:
        """What else than names and bytes of `files` decides about pixels and splits, a line each."""
        return iter(())

    def group(self, stem: str) -> str:
        """What a training pair belongs to: pairs of one group are not divided between the two held-out splits."""
        return stem

    @property
    def splits(self) -> tuple[str, ...]:
        """The parts, in the order of `split_parts`, without optional ones that are missing."""
        parts = dict.fromkeys(part for parts in self.split_parts.values() for part in parts)
        return tuple(part for part in parts if part not in self.optional or self.has_part(part))

    def size(self, split: str) -> int:
        """Number of pairs in `split`. Raises DataError if the split is unknown or files are missing."""
        numbers = self._numbers(split)
        return sum(len(self._pairs(part)) for part in self.parts(split)) if numbers is None else len(numbers)

    def stems(self, split: str) -> tuple[str, ...]:
        """File stems of `split`, sorted within each of its parts."""
        return tuple(pair.stem for pair in self._pairs_of(split))

    def sizes(self, split: str) -> Iterator[tuple[int, int]]:
        """Width and height of each image of `split` as it is stored; reads only the headers."""
        return (image_size(pair.image) for pair in self._pairs_of(split))

    def read(self, split: str, index: int) -> Pair:
        """Pair `index` of `split`, read-only `image_HW3` and `label_HW`. Raises DataError if it cannot be used."""
        rest, numbers = index, self._numbers(split)
        if numbers is not None:
            rest = numbers[index] if 0 <= index < len(numbers) else -1
        for part in self.parts(split):
            pairs = self._pairs(part)
            if 0 <= rest < len(pairs):
                return self._read_part(part, pairs, rest)
            rest -= len(pairs)
        raise IndexError(f"{self.root}: {split} has no pair {index}")

    def decode(self, pair: FilePair) -> Pair:
        """Read and check the files of a pair; returns read-only pixels."""
        return self._decode(pair)[1]

    def _decode(self, pair: FilePair) -> tuple[DecodedImage, Pair]:
        decoded, label_HW = self.read_image(pair.image), self.read_label(pair.label)
        height, width, _ = decoded.image_HW3.shape
        require_same_size(label_HW, (width, height), pair.image, pair.label, decoded.orientation)
        return decoded, frozen(decoded.image_HW3, label_HW)

    def examine(self, split: str) -> Iterator[tuple[str, Examined | DataError]]:
        """Stem of each pair with its decoded pixels or its error; first, without stem, the errors of the layout."""
        self._forget_listings()
        for part in self.parts(split):
            listing = self._listing(part)
            yield from (("", DataError(problem)) for problem in listing.problems)
            numbers = self._numbers(split) if not listing.problems else None
            pairs = listing.pairs if numbers is None else tuple(listing.pairs[number] for number in numbers)
            yield from zip((pair.stem for pair in pairs), in_order(self._examine, pairs), strict=True)

    def _examine(self, pair: FilePair) -> Examined | DataError:
        try:
            decoded, found = self._decode(pair)
        except DataError as error:
            return error
        return Examined(pair=found, facts=count_pair(found, mode=decoded.mode, turned=decoded.orientation != UPRIGHT))

    def digest(self) -> str:
        """SHA-256 of all that pixels and figures depend on, hexadecimal.

        It covers the sorted relative names and the bytes of all images, labels and split lists, the names of the
        classes, and the version of the decoder. Splits with dummy labels are left out.
        """
        files = self._files()
        total = hashlib.sha256(self._header(files))
        for path in files:
            try:
                content = hashlib.sha256(path.read_bytes()).hexdigest()
            except OSError as error:
                raise unreadable(path, error) from error
            total.update(f"{path.relative_to(self.root).as_posix()}\n{content}\n".encode(errors=AS_STORED))
        return total.hexdigest()

    def signature(self) -> str:
        """SHA-256, hexadecimal; reads no content.

        It covers the relative name, size, inode, modification time and status change time of each file. A program can
        set the modification time back, but not the status change time.
        """
        return self._signature(self._files())

    def check_layout(self) -> None:
        """Raise DataError unless all parts exist and all files are paired; lists the files again."""
        self._forget_listings()
        for part in self.splits:
            self._pairs(part)

    def __getstate__(self) -> dict[str, object]:
        """Everything except the mapped pixels, which another process maps itself."""
        return {**self.__dict__, "_decoded": {part: None for part, found in self._decoded.items() if found is None}}

    def _files(self) -> list[Path]:
        return self._part_files(part for part in self.splits if part not in self.unlabelled)

    def _part_files(self, parts: Iterable[str]) -> list[Path]:
        files: set[Path] = set()
        for part in parts:
            files.update(path for pair in self._pairs(part) for path in (pair.image, pair.label))
            files.update(self._listing(part).lists)
        return sorted(files)

    def _signature(self, files: Iterable[Path]) -> str:
        files = tuple(files)
        total = hashlib.sha256(self._header(files))
        for path in files:
            try:
                facts = path.stat()
            except OSError as error:
                raise unreadable(path, error) from error
            state = f"{facts.st_size} {facts.st_ino} {facts.st_mtime_ns} {facts.st_ctime_ns}"
            total.update(f"{path.relative_to(self.root).as_posix()}\n{state}\n".encode(errors=AS_STORED))
        return total.hexdigest()

    def _header(self, files: Sequence[Path]) -> bytes:
        """What pixels and figures depend on besides `files`."""
        jpeg = any(path.suffix.lower() in JPEG_ENDINGS for path in files)
        webp = any(path.suffix.lower() == ".webp" for path in files)
        lines = "\n".join((f"decoder {decoder_version(jpeg=jpeg, webp=webp)}", *self.class_names, ""))
        content = "\n".join(self.content(files))
        return (f"{lines}\0{content}\n" if content else lines).encode(errors=AS_STORED)

    def parts(self, split: str) -> tuple[str, ...]:
        """The parts of `split`; that of a held-out split is train. Raises DataError if there is no such split."""
        if split in self.split_parts:
            return self.split_parts[split]
        held_out = HELD_OUT if "train" in self.split_parts else ()
        if split in held_out:
            return self.split_parts["train"]
        choices = dict.fromkeys((*self.split_parts, *held_out))
        raise DataError(f"{self.root}: no split {split!r}; choose {', '.join(choices)}")

    def _forget_listings(self) -> None:
        self._listings.clear()
        self._held_out.clear()

    def _numbers(self, split: str) -> tuple[int, ...] | None:
        """Numbers in train of the pairs of a held-out split; None for a split of whole parts."""
        if split not in HELD_OUT or split in self.split_parts:
            return None
        if split not in self._held_out:
            groups = [self.group(pair.stem) for part in self.parts(split) for pair in self._pairs(part)]
            try:
                held_out = is_held_out(groups)
            except DataError as error:
                raise DataError(f"{self.root}: {error}") from error
            wanted = split == SEARCH
            self._held_out[split] = tuple(number for number, held in enumerate(held_out) if held is wanted)
        return self._held_out[split]

    def _pairs_of(self, split: str) -> tuple[FilePair, ...]:
        pairs = tuple(pair for part in self.parts(split) for pair in self._pairs(part))
        numbers = self._numbers(split)
        return pairs if numbers is None else tuple(pairs[number] for number in numbers)

    def _listing(self, part: str) -> Listing:
        if part not in self._listings:
            self._listings[part] = self.list_part(part)
        return self._listings[part]

    def _pairs(self, part: str) -> tuple[FilePair, ...]:
        listing = self._listing(part)
        if listing.problems:
            more = len(listing.problems) - 1
            raise DataError(
                listing.problems[0] + (f" (and {more} more: `python -m trainer.data check` lists all)" if more else "")
            )
        return listing.pairs

    def _read_part(self, part: str, pairs: Sequence[FilePair], index: int) -> Pair:
        """Pair `index` of `part`, from the cache if it has room; a damaged entry of the cache is built again, once."""
        for _ in range(2):
            decoded = self._decoded_part(part)
            if decoded is None:
                break
            try:
                return decoded.read(index)
            except DamagedEntryError as error:
                warnings.warn(f"{error}; the data set is decoded again", stacklevel=3)
                decoded.discard()
                if self._decoded.get(part) is decoded:  # another thread may have met the same damage
                    del self._decoded[part]
        return self.decode(pairs[index])

    def _decoded_part(self, part: str) -> DecodedSplit | None:
        """The cached pixels of `part`, built on first use; None if the cache has no room."""
        if part not in self._decoded:
            pairs = self._pairs(part)
            self._decoded[part] = self.cache.get(
                (type(self).__name__, self.root.resolve(), part, self._signature(self._part_files([part]))),
                sizes=lambda: [image_size(pair.image) for pair in pairs],
                pairs=lambda: map(self.decode, pairs),
            )
        return self._decoded[part]


def unreadable(path: Path, error: OSError) -> DataError:
    """The error for a file that cannot be read."""
    return DataError(f"{path}: cannot be read ({error.strerror or error}); correct its permissions, or copy it again")
