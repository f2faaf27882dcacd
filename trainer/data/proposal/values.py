"""Counts the ids or colours of labels, and proposes what they mean."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from trainer.data.proposal.class_lists import ClassList
from trainer.data.reading.decode import IMAGE_MODES, is_array, open_image, raw_array
from trainer.data.reading.in_order import in_order
from trainer.data.reading.label_codes import colour_code, colour_of, raw_codes
from trainer.errors import DataError

__all__ = ["Meaning", "Values", "count_values", "meaning_of", "quoted", "range_of_images", "written"]

MOST_LABELS = 2000
"""Labels that are counted; of more, as many evenly spaced ones."""
MOST_IMAGES = 50
MOST_VALUES = 255
VOID = 255


@dataclass(frozen=True, kw_only=True, slots=True)
class Values:
    """What labels hold."""

    colours: bool
    pixels: Mapping[int, int]
    """Of each id or colour."""
    counted: int
    """Labels."""
    problems: tuple[str, ...]

    @property
    def total(self) -> int:
        """All pixels."""
        return sum(self.pixels.values())


@dataclass(frozen=True, kw_only=True, slots=True)
class Meaning:
    """Keys of a description, and why."""

    names: tuple[str, ...]
    keys: tuple[str, ...]
    """Lines with `map`, `ignore` or `reduce_zero_label`."""
    guesses: tuple[str, ...]
    """What the user should look at."""


def count_values(labels: Sequence[Path]) -> Values:
    """The ids of labels, or their colours if the first has three channels."""
    chosen = spread(labels, MOST_LABELS)
    colours = is_coloured(chosen[0])
    pixels: Counter[int] = Counter()
    problems: list[str] = []

    def count(path: Path) -> tuple[np.ndarray, np.ndarray] | DataError:
        try:
            return np.unique(raw_codes(path, colours=colours), return_counts=True)
        except DataError as error:
            return error

    for found in in_order(count, chosen):
        if isinstance(found, DataError):
            problems.append(str(found))
        else:
            pixels.update(dict(zip(map(int, found[0]), map(int, found[1]), strict=True)))
    return Values(colours=colours, pixels=dict(sorted(pixels.items())), counted=len(chosen), problems=tuple(problems))


def spread(paths: Sequence[Path], most: int) -> list[Path]:
    """At most `most` of the paths, evenly spaced."""
    return [paths[round(place)] for place in np.linspace(0, len(paths) - 1, min(most, len(paths)))]


def is_coloured(path: Path) -> bool:
    """Whether a label has three channels or more. Raises DataError for a damaged file."""
    if is_array(path):
        return raw_array(path).ndim == 3 and raw_array(path).shape[2] == 3
    with open_image(path) as image:
        return image.mode in IMAGE_MODES and len(image.getbands()) >= 3


def meaning_of(values: Values, known: ClassList | None) -> Meaning:
    """What the values probably mean, with the names of `known`. Raises DataError for too many values."""
    found = list(values.pixels)
    if len(found) > MOST_VALUES + 1:
        what = "colours" if values.colours else "ids"
        raise DataError(
            f"the labels have {len(found)} {what}; no more than {MOST_VALUES} can be classes: are they instances, or "
            "images? Write images and labels yourself (docs/own_data.md)"
        )
    if values.colours:
        return meaning_of_colours(found, known)
    if known is not None and known.colours:
        known = ClassList(path=known.path, names=known.names, colours={}, first_id=known.first_id)
    return meaning_of_ids(found, known)


def meaning_of_colours(found: Sequence[int], known: ClassList | None) -> Meaning:
    """Colours: those of a list, or a class for each; a class `void` is void."""
    given = {} if known is None else known.colours
    listed = {colour_code(colour): name for colour, name in given.items()}
    names = listed | {code: f"class_{place}" for place, code in enumerate(found) if code not in listed}
    void = [code for code, name in names.items() if name.lower() in ("void", "unlabelled", "unlabeled", "ignore")]
    absent = [name for code, name in listed.items() if code not in found]
    missing = [written(code, colours=True) for code in found if colour_of(code) not in given]
    entries = [f"  {written(code, colours=True)}: {quoted(name)}" for code, name in names.items() if code not in void]
    keys = (
        "map:",
        *entries,
        *((f"ignore: [{', '.join(written(code, colours=True) for code in void)}]",) if void else ()),
    )
    return Meaning(
        names=tuple(dict.fromkeys(name for code, name in names.items() if code not in void)),
        keys=keys,
        guesses=(
            *((f"names of the colours {', '.join(missing[:6])}",) if missing else ()),
            *((f"no label that was counted shows {', '.join(absent[:6])}",) if absent else ()),
        ),
    )


def meaning_of_ids(found: Sequence[int], known: ClassList | None) -> Meaning:
    """Ids: 255 and negative ones are void, unless a mask has 0 and 255 only."""
    if list(found) == [0, VOID]:
        return Meaning(
            names=("background", "foreground"),
            keys=("map: {0: background, 255: foreground}",),
            guesses=("255 is a class, because there is nothing else but 0",),
        )
    void = [code for code in found if code in (VOID, -1)]
    ids = [code for code in found if code not in void]
    if known is not None:
        offset = known.first_id
        if offset == 0 and 0 in ids and len(ids) == len(known.names) + 1 and max(ids) == len(known.names):
            offset = 1
        if offset == 1:
            return Meaning(
                names=known.names, keys=("reduce_zero_label: true",), guesses=("0 is void: the list starts at 1",)
            )
        if ids and max(ids) < len(known.names):
            return Meaning(names=known.names, keys=(f"ignore: {void or [VOID]}",), guesses=())
    names = tuple(f"class_{code}".replace("-", "minus_") for code in ids)
    guesses = ["names of the classes: no list of them was found"]
    if 0 in ids:
        guesses.append(
            "0 is a class; if it is not labelled, write `reduce_zero_label: true` or `ignore`, without its name"
        )
    if ids == list(range(len(ids))):
        return Meaning(names=names, keys=(f"ignore: {void or [VOID]}",), guesses=tuple(guesses))
    entries = ", ".join(f"{code}: {name}" for code, name in zip(ids, names, strict=True))
    return Meaning(names=names, keys=(f"map: {{{entries}}}", f"ignore: {void or [VOID]}"), guesses=tuple(guesses))


def range_of_images(images: Sequence[Path]) -> tuple[float, float] | None:
    """Smallest and largest value of some images of more than 8 bits; None for 8-bit images."""
    extremes: list[float] = []
    for path in spread(images, MOST_IMAGES):
        if is_array(path):
            raw = raw_array(path)
        else:
            with open_image(path) as image:
                if image.mode not in ("I;16", "I;16B", "I", "F"):
                    continue
                raw = np.array(image)
        if raw.dtype != np.uint8 and raw.dtype.kind in "iuf" and raw.size:
            extremes += [float(raw.min()), float(raw.max())]
    return (min(extremes), max(extremes)) if extremes and min(extremes) < max(extremes) else None


def written(code: int, *, colours: bool) -> str:
    """An id or colour as a description has it."""
    return " ".join(map(str, colour_of(code))) if colours else str(code)


def quoted(name: str) -> str:
    """A name in YAML, in quotes where it needs them."""
    plain = name.replace(" ", "").replace("_", "").replace("-", "").isalnum() and name[0].isalpha()
    return name if plain and name.lower() not in ("true", "false", "null") else "'" + name.replace("'", "''") + "'"
