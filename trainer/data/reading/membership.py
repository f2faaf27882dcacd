"""Which images belong to which split: those in its folder, those on its list, or its share of all.

Nothing is raised for files that are missing: what is wrong with a split is in its `Listing`.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from trainer.data.reading.path_pattern import IMAGE_ENDINGS, Found
from trainer.errors import DataError

__all__ = ["Folders", "Lists", "Shares", "Splits", "by_lists", "by_shares", "stems_in"]


@dataclass(frozen=True, slots=True)
class Folders:
    """Splits are folders: what stands for `{split}` in the patterns, by split. Empty: all that exist."""

    names: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Lists:
    """Splits are lists of stems: files with one stem a line, or the stems themselves."""

    lists: Mapping[str, str | tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Shares:
    """Splits are shares of all images, which add up to 1."""

    shares: Mapping[str, float]
    seed: int


Splits: TypeAlias = Folders | Lists | Shares


def by_shares(names: Iterable[str], groups: Mapping[str, str], shares: Shares) -> dict[str, str]:
    """The split of each name; names of one group stay together.

    Groups are put in the order of the SHA-256 of seed and group, and the order is cut where the shares end. So the
    choice depends on nothing but names, seed and shares.
    """
    sizes = Counter(groups[name] for name in names)

    def place(group: str) -> str:
        return hashlib.sha256(f"{shares.seed}/{group}".encode(errors="surrogateescape")).hexdigest()

    total, before = sum(sizes.values()), 0
    ends: list[tuple[str, float]] = []
    cumulated = 0.0
    for split, share in shares.shares.items():
        cumulated += share
        ends.append((split, cumulated * total))
    chosen: dict[str, str] = {}
    for group in sorted(sizes, key=place):
        middle = before + sizes[group] / 2
        chosen[group] = next((split for split, end in ends if middle < end), ends[-1][0])
        before += sizes[group]
    return {name: chosen[groups[name]] for name in groups if groups[name] in chosen}


def by_lists(
    found: Sequence[Found],
    lists: Mapping[str, Sequence[str]],
    sources: Mapping[str, str],
    place: Callable[[str], Path],
) -> tuple[dict[str, str], dict[str, list[str]]]:
    """The split of each name that a list has, and the problems of each split.

    `sources` name the lists in messages, and `place` says where an image should be. An item of a list is a stem, or as
    much of the path of an image as is needed: `a`, `a.png`, `city/a`, `/data/images/city/a.png`.
    """
    known = known_names(found)
    chosen: dict[str, str] = {}
    problems: dict[str, list[str]] = {split: [] for split in lists}
    for split, items in lists.items():
        if not items:
            problems[split].append(f"{sources[split]}: lists no image; add one stem per line")
        for item in items:
            names = names_of(item, known)
            if not names:
                word = item.split()[0]
                missing = place(without_ending(item if without_ending(word) == word else word).strip("/"))
                text = f"{sources[split]}: no image for {item!r}; add {missing}, or remove it from the list"
                problems[split].append(text)
            elif len(names) > 1:
                few = " and ".join(sorted(names)[:2])
                problems[split].append(f"{sources[split]}: {item!r} means {few}; write the one that is meant")
            else:
                (name,) = names
                if name in chosen:
                    also = sources[chosen[name]] if chosen[name] != split else "the same list"
                    text = f"{sources[split]}: {item} is also in {also}; keep one of the two"
                    problems[split].append(text)
                else:
                    chosen[name] = split
    return chosen, problems


def known_names(found: Iterable[Found]) -> dict[str, set[str]]:
    """What a list may call each image: by stem, by folder and stem, and by path without ending."""
    known: dict[str, set[str]] = {}
    for image in found:
        path = image.path.rpartition(".")[0]
        for text in (image.stem, image.name, path, path.rpartition("/")[2]):
            known.setdefault(text, set()).add(image.name)
    return known


def names_of(item: str, known: Mapping[str, set[str]]) -> set[str]:
    """The names of the images that an item of a list means."""
    for text in dict.fromkeys((item.strip(), item.split()[0])):
        parts = without_ending(text.replace("\\", "/")).strip("/").split("/")
        for place in range(len(parts)):
            if (names := known.get("/".join(parts[place:]))) is not None:
                return names
    return set()


def without_ending(text: str) -> str:
    """A file name without the ending of an image."""
    head, dot, ending = text.rpartition(".")
    return head if dot and ending.lower() in IMAGE_ENDINGS else text


def stems_in(path: Path) -> tuple[str, ...]:
    """The lines of a split list that are not empty. Raises DataError."""
    try:
        return tuple(line for line in lines_of(path) if line)
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 text; save the list as UTF-8") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); correct the path of the list") from error


def lines_of(path: Path) -> Iterator[str]:
    """The lines without the space around them."""
    with path.open(encoding="utf-8-sig") as file:
        for line in file:
            yield line.strip()
