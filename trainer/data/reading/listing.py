"""Which image belongs to which label: matching the files of two folders, or looking up the stems of a split list.

Nothing is raised here: all that is wrong with a split is collected, so that a check can show it at once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["IMAGE_ENDINGS", "FilePair", "Listing", "files_by_stem", "look_up", "match", "read_stems"]

IMAGE_ENDINGS = (".jpg", ".jpeg", ".png")
LISTED_ENDINGS = (*IMAGE_ENDINGS, ".mat")


@dataclass(frozen=True, slots=True)
class FilePair:
    """An image and its label on disk."""

    stem: str
    image: Path
    label: Path


@dataclass(frozen=True, slots=True)
class Listing:
    """The pairs of one split, by stem, and what is wrong with it, one line each."""

    pairs: tuple[FilePair, ...]
    problems: tuple[str, ...] = ()
    lists: tuple[Path, ...] = ()
    """Files that say which pairs the split has; they are content like the pixels."""


def files_by_stem(
    folder: Path, endings: Sequence[str], layout: str, problems: list[str], *, pattern: str = "*"
) -> dict[str, Path] | None:
    """The files below `folder` that end in one of `endings`, by what stands before it; None without the folder.

    `layout` says in the complaint how the data set should lie.
    """
    if not folder.is_dir():
        problems.append(f"{folder}: no such folder; the layout is {layout}")
        return None
    found: dict[str, Path] = {}
    for path in sorted(folder.glob(pattern)):
        stem = stem_of(path.name, endings)
        if stem is None or path.name.startswith("."):
            continue
        if stem in found:
            problems.append(f"{path}: {found[stem].name} has the same stem; remove one of the two")
        else:
            found[stem] = path
    return found


def stem_of(name: str, endings: Sequence[str]) -> str | None:
    """`name` without the first of `endings` that it has, in any case; None when it has none."""
    return next((name[: -len(ending)] for ending in endings if name.lower().endswith(ending.lower())), None)


def match(
    images: dict[str, Path] | None,
    labels: dict[str, Path] | None,
    problems: list[str],
    *,
    image_for: Callable[[str], Path],
    label_for: Callable[[str], Path],
    empty: str,
) -> Listing:
    """The pairs of equal stem; each file left over is a problem, and so is a split without any (`empty`).

    `image_for` and `label_for` say where the missing counterpart of a file belongs.
    """
    if images is None or labels is None:
        return Listing((), tuple(problems))
    for stem in sorted(images.keys() ^ labels.keys()):
        if stem in images:
            problems.append(f"{images[stem]}: no label; add {label_for(stem)} or remove the image")
        else:
            problems.append(f"{labels[stem]}: no image; add {image_for(stem)} or remove the label")
    if not images and not labels:
        problems.append(empty)
    both = sorted(images.keys() & labels.keys())
    return Listing(tuple(FilePair(stem, images[stem], labels[stem]) for stem in both), tuple(problems))


def read_stems(path: Path, problems: list[str], *, remedy: str) -> list[str]:
    """The stems that a split list names, sorted: one per line, the first word of it, folder and ending left out."""
    try:
        words = [line.split()[0] for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError):
        problems.append(f"{path}: no such list; {remedy}")
        return []
    names = [word.replace("\\", "/").rpartition("/")[2] for word in words]
    counts = Counter(stem if (stem := stem_of(name, LISTED_ENDINGS)) is not None else name for name in names)
    problems.extend(
        f"{path}: {stem} is listed {count} times; list it once" for stem, count in counts.items() if count > 1
    )
    if not counts:
        problems.append(f"{path}: names no image; {remedy}")
    return sorted(counts)


def look_up(
    stems: Sequence[str],
    lists: tuple[Path, ...],
    problems: list[str],
    *,
    image_for: Callable[[str], Path],
    label_for: Callable[[str], Path],
) -> Listing:
    """The pairs that `stems` name; a file that is not there is a problem."""
    pairs = []
    for stem in stems:
        pair = FilePair(stem, image_for(stem), label_for(stem))
        missing = [(path, what) for path, what in ((pair.image, "image"), (pair.label, "label")) if not path.is_file()]
        for path, what in missing:
            problems.append(f"{path}: no such {what}; add it, or take {stem} out of {lists[0]}")
        if not missing:
            pairs.append(pair)
    return Listing(tuple(pairs), tuple(problems), lists)
