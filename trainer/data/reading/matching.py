"""Matches images with labels by folder and stem, and says what is missing where."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from trainer.data.reading.description import Description
from trainer.data.reading.listing import FilePair
from trainer.data.reading.path_pattern import IMAGE_ENDINGS, LABEL_ENDINGS, Found, PathPattern, names_in

__all__ = ["Matched", "match"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Matched:
    """Images and labels that were found together."""

    images: tuple[Found, ...]
    pairs: Mapping[str, FilePair]
    """By name, folder and stem."""
    alone: Mapping[str, str]
    """What is wrong with each image without label and each label without image, by name."""
    problems: tuple[str, ...]
    """What is wrong otherwise."""


def match(root: Path, description: Description, split: str = "") -> Matched:
    """The images and labels in `root`, of the folder `split` if the patterns have `{split}`."""
    labels = tuple(description.labels.find(root, split or None))
    taken = {label.path for label in labels}  # `a_mask.png` beside `a.png` is no image
    images = tuple(image for image in description.images.find(root, split or None) if image.path not in taken)
    words = [word for word in ("folder", "stem") if description.labels.has(word)]
    problems: list[str] = []
    image_by_key = by_key(root, images, words, problems)
    label_by_key = by_key(root, labels, words, problems)
    pairs, alone = {}, {}
    for key, image in image_by_key.items():
        label = label_by_key.get(key)
        if label is not None:
            pairs[image.name] = FilePair(image.name, root / image.path, root / label.path)
        elif not description.skip_unpaired:
            alone[image.name] = without_label(root, image, description.labels)
    elsewhere = split and not description.labels.has("split")  # then labels of all splits were found
    for key, label in label_by_key.items():
        if key not in image_by_key and not description.skip_unpaired and not elsewhere:
            alone["/".join(part for part in key if part)] = without_image(root, label, description.images)
    if not pairs and not problems and (not alone or not images or not labels):
        problems += nothing_found(root, description, images, labels, split)
        if images or labels:  # one sentence for all of them
            alone = {}
    return Matched(images=images, pairs=pairs, alone=alone, problems=tuple(problems))


def by_key(
    root: Path, found: Sequence[Found], words: Sequence[str], problems: list[str]
) -> dict[tuple[str, ...], Found]:
    """The files by the words that the pattern of labels has."""
    files: dict[tuple[str, ...], Found] = {}
    for file in found:
        key = tuple(getattr(file, word) for word in words)
        if key not in files:
            files[key] = file
        elif files[key].name == file.name:
            first = files[key].path.rpartition("/")[2]
            problems.append(f"{root / file.path}: {first} has the same stem; remove one of the two")
        else:
            text = f"{files[key].path} has the same stem, so both have one label; use {{folder}} in labels"
            problems.append(f"{root / file.path}: {text}")
    return files


def without_label(root: Path, image: Found, labels: PathPattern) -> str:
    """What is wrong with an image without label."""
    missing = root / labels.place(image.split, image.folder, image.stem)
    near = other_ending(missing, LABEL_ENDINGS)
    if near is not None:
        return f"{root / image.path}: no label, but {near} lies there; add {near.suffix} to labels"
    return f"{root / image.path}: no label; add {missing} or remove the image"


def without_image(root: Path, label: Found, images: PathPattern) -> str:
    """What is wrong with a label without image."""
    missing = root / images.place(label.split, label.folder, label.stem)
    near = other_ending(missing, IMAGE_ENDINGS)
    if near is not None:
        return f"{root / label.path}: no image, but {near} lies there; add {near.suffix} to images"
    return f"{root / label.path}: no image; add {missing} or remove the label"


def other_ending(missing: Path, endings: Sequence[str]) -> Path | None:
    """A file with the name of a missing one and another ending that can be read."""
    names = [missing.with_suffix(f".{ending}") for ending in endings]
    return next((path for path in names if path.is_file()), None)


def nothing_found(
    root: Path, description: Description, images: Sequence[Found], labels: Sequence[Found], split: str
) -> Iterator[str]:
    """What is wrong when there is no pair."""
    for what, pattern, found in (("image", description.images, images), ("label", description.labels, labels)):
        if found:
            continue
        folder = root / pattern.fixed(split)
        if not folder.is_dir():
            yield f"{folder}: no such folder; {what}s is {pattern.text}"
            continue
        name = next((name for name in names_in(folder, files=True) if is_readable(name)), None)
        if name is None:
            yield f"{folder}: no {what} in it; {what}s is {pattern.text}"
        else:
            ending = Path(name).suffix
            remedy = f"add {ending} to {what}s" if ending[1:].lower() not in pattern.own_endings else f"correct {what}s"
            yield f"{folder}: no {what} matches {pattern.text}, but {name} lies there; {remedy}"


def is_readable(name: str) -> bool:
    """Whether a file may be an image."""
    return name.rpartition(".")[2].lower() in IMAGE_ENDINGS
