"""The census of a data set while planning: counted once for each content, and what it refuses.

It is kept beside the decoded pixels, for all run directories of a user, and in the cache of the run directory.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from orchestrator.machine.own_folder import claim
from orchestrator.planning.digests import read_verified
from orchestrator.store.atomic_file import replace_file
from orchestrator.store.sealed_json import seal
from trainer.config import DataConfig
from trainer.data import Source
from trainer.data.census import Census, take_census
from trainer.data.files.folder import Folder
from trainer.data.reading.cache import CACHE_FOLDER, DecodedCache
from trainer.errors import DataError

__all__ = ["read_census", "require_classes", "require_labelled"]

CENSUS_VERSION = 3
"""Increased by hand whenever equal data would be counted otherwise, or the file is written otherwise."""

MOST_VALUES = 8
MOST_MAPPED = 3
MANY_IMAGES = 1000
"""Of more images than these the count takes long enough to be announced."""


def read_census(source: Source, config: DataConfig, digest: str, cache_dir: Path | None) -> Census | None:
    """The census of the data with this digest; None for data without files.

    A file that is missing or damaged is counted again. Raises DataError for a pair that cannot be used.
    """
    if config.name == "synthetic":
        return None
    name = f"census-{CENSUS_VERSION}-{config.name}-{digest[:32]}.json"
    folders = tuple(keeping_folders(cache_dir))
    for folder in folders:
        if (found := load_census(folder / name)) is not None:
            return found
    images = sum(source.size(split) for split in source.splits)
    if images >= MANY_IMAGES:
        sys.stderr.write(f"{config.root or config.name}: counting {images} images and their labels, once\n")
    census = take_census(source)
    for folder in folders:
        with suppress(OSError):  # a census that cannot be kept is counted again
            replace_file(folder / name, seal(census.to_json()), durable=False)
    return census


def keeping_folders(cache_dir: Path | None) -> Iterator[Path]:
    """The folder of the decoded pixels, if it is this user's, and the cache of the run directory."""
    decoded = DecodedCache.default().folder
    if decoded is not None:
        with suppress(OSError):
            yield claim(decoded, CACHE_FOLDER)
    if cache_dir is not None:
        yield cache_dir


def load_census(path: Path) -> Census | None:
    """The census in a file; None if there is none or it is not what was written."""
    values = read_verified(path)
    return None if values is None else Census.from_json(values)


def require_classes(census: Census, source: Source, config: DataConfig) -> None:
    """Raise DataError for classes that no training label shows, unless they are allowed."""
    parts = census.parts_of(config.train_split, source.parts(config.train_split))
    absent = census.absent(parts)
    if not absent or config.absent_classes == "allow":
        return
    split = census.of(parts)
    held = [index for index, pixels in enumerate(split.pixels) if pixels]
    named = ", ".join(map(repr, absent[:MOST_VALUES])) + (", ..." if len(absent) > MOST_VALUES else "")
    what = f"class{'es' if len(absent) > 1 else ''} {named}"
    if not isinstance(source, Folder):
        raise DataError(
            f"no label of {config.train_split} shows {what}; check that the data set is complete, "
            "or set data.absent_classes: allow"
        )
    if not source.description.codes.plain:
        raise DataError(
            f"no label of {config.train_split} shows {what}; correct map or names in {source.description.path}, "
            "or set data.absent_classes: allow"
        )
    values = [*map(str, held), *(["255"] if split.void else [])]
    listed = f"{', '.join(values[:-1])} and {values[-1]}" if len(values) > 1 else "".join(values)
    remedy = suggestion(census, held, split.void, source.description.path.name)
    raise DataError(
        f"no label of {config.train_split} shows {what}; the labels hold {listed}; {remedy}, "
        "or set data.absent_classes: allow"
    )


def suggestion(census: Census, held: list[int], void: int, file: str) -> str:
    """What the ids in the labels suggest to write into the description."""
    names = census.class_names
    missing = [index for index in range(len(names)) if index not in held]
    if void and len(missing) == 1:
        ids = ", ".join(f"{index}: {names[index]}" for index in held[:MOST_MAPPED]) + (
            ", ..." * (len(held) > MOST_MAPPED)
        )
        name = names[missing[0]]
        return f"is 255 the class {name!r}? 255 is void: add `map: {{{ids}, 255: {name}}}` to {file}"
    if missing[0] == 0 and held:
        return f"do your ids start at 1? The first class is 0: add `reduce_zero_label: true` to {file}"
    return f"remove what is absent from {file}"


def require_labelled(census: Census, source: Source, split: str) -> None:
    """Raise DataError for a split without a labelled pixel: there is nothing to report."""
    if not census.of(census.parts_of(split, source.parts(split))).labelled:
        raise DataError(f"every label of {split} is void everywhere, so there is nothing to average; label it")
