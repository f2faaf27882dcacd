"""Pairs images with labels: by matching the files of two folders, or by a split list.

Nothing is raised here. All problems of a split are collected, so that a check can report them together.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["FilePair", "Listing", "list_folders", "list_stems"]

IMAGE_ENDINGS = (".jpg", ".jpeg", ".png")
LISTED_ENDINGS = (*IMAGE_ENDINGS, ".mat")


@dataclass(frozen=True, slots=True)
class FilePair:
    """An image file and its label file."""

    stem: str
    image: Path
    label: Path


@dataclass(frozen=True, slots=True)
class Listing:
    """The pairs of one split, sorted by stem, and its problems, one line each."""

    pairs: tuple[FilePair, ...]
    problems: tuple[str, ...] = ()
    lists: tuple[Path, ...] = ()
    """Files that define the split; they are part of the content, like the pixels."""


def list_folders(
    images: Path,
    labels: Path,
    layout: str,
    *,
    image_endings: Sequence[str] = IMAGE_ENDINGS,
    label_ending: str = ".png",
    subfolder: Callable[[str], str] | None = None,
    is_label: Callable[[str], bool] | None = None,
) -> Listing:
    """The pairs of equal stems in two folders; unmatched files and empty folders are problems.

    With `subfolder`, a function of the stem, files are one level deeper. Labels whose stem fails `is_label` are
    ignored. `layout` is the expected layout, for messages.
    """
    problems: list[str] = []
    pattern = "*" if subfolder is None else "*/*"
    image_files = files_by_stem(images, image_endings, layout, problems, pattern)
    label_files = files_by_stem(labels, (label_ending,), layout, problems, pattern)
    if image_files is None or label_files is None:
        return Listing((), tuple(problems))
    if is_label is not None:
        label_files = {stem: path for stem, path in label_files.items() if is_label(stem)}
    for stem in sorted(image_files.keys() ^ label_files.keys()):
        below = "" if subfolder is None else subfolder(stem)
        if stem in image_files:
            missing = labels / below / f"{stem}{label_ending}"
            problems.append(f"{image_files[stem]}: no label; add {missing} or remove the image")
        else:
            missing = images / below / f"{stem}{image_endings[0]}"
            problems.append(f"{label_files[stem]}: no image; add {missing} or remove the label")
    if not image_files and not label_files:
        problems.append(f"{images}: no image in it; the layout is {layout}")
    both = sorted(image_files.keys() & label_files.keys())
    return Listing(tuple(FilePair(stem, image_files[stem], label_files[stem]) for stem in both), tuple(problems))


def files_by_stem(
    folder: Path, endings: Sequence[str], layout: str, problems: list[str], pattern: str
) -> dict[str, Path] | None:
    """Files of `folder` with one of `endings`, by the name without it; None if there is no such folder."""
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
    """`name` without the first of `endings` that matches, ignoring case; None if none matches."""
    return next((name[: -len(ending)] for ending in endings if name.lower().endswith(ending.lower())), None)


def list_stems(
    split_list: Path, *, image_for: Callable[[str], Path], label_for: Callable[[str], Path], remedy: str
) -> Listing:
    """The pairs of the stems in a split list; missing files are problems.

    The list has one stem per line: its first word, without folder and ending. `remedy` is for a missing list.
    """
    problems: list[str] = []
    pairs: list[FilePair] = []
    for stem in read_stems(split_list, problems, remedy):
        pair = FilePair(stem, image_for(stem), label_for(stem))
        missing = [(path, what) for path, what in ((pair.image, "image"), (pair.label, "label")) if not path.is_file()]
        for path, what in missing:
            problems.append(f"{path}: no such {what}; add it, or remove {stem} from {split_list}")
        if not missing:
            pairs.append(pair)
    return Listing(tuple(pairs), tuple(problems), (split_list,))


def read_stems(path: Path, problems: list[str], remedy: str) -> list[str]:
    """The sorted stems of a split list."""
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
        problems.append(f"{path}: lists no image; {remedy}")
    return sorted(counts)
