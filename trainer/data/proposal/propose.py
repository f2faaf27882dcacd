"""`python -m trainer.data init PATH`: the text of a proposed description, with what was found and what was guessed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from trainer.data.proposal.class_lists import find_class_list
from trainer.data.proposal.pairing import Layout, find_layout, split_of
from trainer.data.proposal.tree import file_groups, text_files
from trainer.data.proposal.values import Meaning, Values, count_values, meaning_of, quoted, range_of_images, written
from trainer.data.reading.membership import known_names, names_of, stems_in
from trainer.data.reading.path_pattern import IMAGE_ENDINGS, LABEL_ENDINGS, Found, PathPattern
from trainer.errors import DataError

__all__ = ["propose"]

MOST_SHOWN = 40
MOST_LEFT = 8
FITS = 0.9
"""Share of the lines of a list that must be images."""
FIRST = ("train", "val", "test")


def propose(root: Path) -> str:
    """A description of the data set in `root`. Raises DataError if no images with labels are found in it."""
    groups = file_groups(root)
    layout = find_layout(root, groups)
    if layout is None:
        endings = sorted({group.ending for group in groups})
        found = f"files of {', '.join(endings)}" if endings else "no image"
        raise DataError(
            f"{root}: {found}, but no images with labels of equal or similar names; write the description yourself "
            "(docs/own_data.md)"
        )
    images, labels = PathPattern(layout.images, IMAGE_ENDINGS), PathPattern(layout.labels, LABEL_ENDINGS)
    label_files = {
        (found.split, found.folder if labels.has("folder") else "", found.stem): found for found in labels.find(root)
    }
    used = {found.path for found in label_files.values()}
    image_files = [found for found in images.find(root) if found.path not in used]
    pairs = [
        (found, label_files[key])
        for found in image_files
        if (key := (found.split, found.folder if labels.has("folder") else "", found.stem)) in label_files
    ]
    if layout.splits:
        pairs = [pair for pair in pairs if pair[0].split in layout.splits]
    if not pairs:
        raise DataError(f"{root}: no images with labels; write the description yourself (docs/own_data.md)")
    values = count_values([root / label.path for _, label in pairs])
    known = find_class_list(text_files(root))
    meaning = meaning_of(values, known)
    splits = list(split_lines(root, layout, [image for image, _ in pairs]))
    lists = any(line.startswith("  ") and ".txt" in line for line in splits)
    images_in_splits = [image for image in image_files if not layout.splits or image.split in layout.splits]
    unpaired = len(images_in_splits) + len(label_files) - 2 * len(pairs)
    low_high = range_of_images([root / image.path for image, _ in pairs])
    lines = [
        f"# Proposed for {root.resolve()}; check with: python -m trainer.data check PATH --classes FILE",
        f"# Found {len(pairs)} pairs of image and label.",
        *census_lines(values),
        f"name: {quoted(root.resolve().name)}",
        f"names: [{', '.join(map(quoted, meaning.names))}]"
        + (f"  # of {known.path.name}" if known is not None and uses(meaning) else ""),
        f"images: {in_quotes(layout.images)}",
        f"labels: {in_quotes(layout.labels)}",
        *splits,
        *meaning.keys,
        *(
            [f"image_range: [{low_high[0]:g}, {low_high[1]:g}]  # guess: the extremes of some images"]
            if low_high
            else []
        ),
        *(
            ["unpaired: skip  # guess: some images have no label, or some labels no image"]
            if unpaired and not lists
            else []
        ),
        *(f"# guess: {text}" for text in meaning.guesses),
        *left_lines([file for group in groups for file in group.files], pairs),
        *(f"# cannot be read: {text}" for text in values.problems[:MOST_LEFT]),
    ]
    return "\n".join(lines) + "\n"


def uses(meaning: Meaning) -> bool:
    """Whether the names come from a list of them."""
    return not any("names of" in text for text in meaning.guesses)


def census_lines(values: Values) -> Iterator[str]:
    """Ids or colours with their shares."""
    what = "colours" if values.colours else "ids"
    yield f"# {what} in {values.counted} labels, share of pixels:"
    for code, pixels in list(values.pixels.items())[:MOST_SHOWN]:
        yield f"#   {written(code, colours=values.colours):>12}  {pixels / values.total:.3%}"
    if len(values.pixels) > MOST_SHOWN:
        yield f"#   and {len(values.pixels) - MOST_SHOWN} more"


def split_lines(root: Path, layout: Layout, images: Sequence[Found]) -> Iterator[str]:
    """`splits`: folders, else lists that fit, else shares."""
    if layout.splits:
        names = sorted(
            layout.splits,
            key=lambda name: (
                split_of(name) not in FIRST,
                FIRST.index(split_of(name)) if split_of(name) in FIRST else 0,
            ),
        )
        yield f"splits: {{{', '.join(f'{split_of(name)}: {name}' for name in names)}}}"
        return
    lists = find_lists(root, images)
    if lists:
        yield "splits:"
        yield from (f"  {split}: {quoted_path(path)}" for split, path in lists.items())
        return
    count = len(images)
    if count < 3:
        yield "splits: {train: 1.0}  # guess: too few images for more"
    elif count < 10:
        yield "splits: {train: 0.34, val: 0.33, test: 0.33, seed: 0}  # guess: no folders or lists of splits were found"
    else:
        yield "splits: {train: 0.8, val: 0.1, test: 0.1, seed: 0}  # guess: no folders or lists of splits were found"


def find_lists(root: Path, images: Sequence[Found]) -> dict[str, str]:
    """Text files that are named like a split and list images, without those that overlap with others."""
    known = known_names(images)
    found: dict[str, tuple[str, set[str]]] = {}
    for path in text_files(root):
        split = split_of(path.stem)
        if not split or path.suffix.lower() not in (".txt", ".lst") or split in found:
            continue
        try:
            items = stems_in(path)
        except DataError:
            continue
        names = [names_of(item, known) for item in items]
        if items and sum(len(name) == 1 for name in names) >= FITS * len(items):
            found[split] = (path.relative_to(root).as_posix(), set().union(*names))
    disjoint: dict[str, str] = {}
    taken: set[str] = set()
    for split in sorted(found, key=lambda name: (name not in FIRST, name != "train")):
        path_text, members = found[split]
        if not members & taken:
            disjoint[split] = path_text
            taken |= members
    return disjoint if len(disjoint) > 1 else {}


def left_lines(files: Sequence[str], pairs: Sequence[tuple[Found, Found]]) -> Iterator[str]:
    """Files that are in no pair, counted by folder and ending."""
    used = {found.path for pair in pairs for found in pair}
    left: dict[str, list[str]] = {}
    for file in files:
        if file not in used:
            left.setdefault(f"{file.rpartition('/')[0]} .{file.rpartition('.')[2]}", []).append(file)
    for names in list(left.values())[:MOST_LEFT]:
        yield f"# left over: {len(names)} like {names[0]}"
    if len(left) > MOST_LEFT:
        yield f"# left over: files in {len(left) - MOST_LEFT} more folders"


def in_quotes(pattern: str) -> str:
    """A pattern in YAML, which is a block if it begins with a brace and an alias if it begins with a star."""
    return "'" + pattern.replace("'", "''") + "'"


def quoted_path(path: str) -> str:
    """A path in YAML."""
    return path if path.replace("/", "").replace("_", "").replace(".", "").isalnum() else in_quotes(path)
