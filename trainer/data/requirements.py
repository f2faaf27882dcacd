"""What a data set must hold besides intact files: labelled pixels to train on and to measure on, of all classes.

Planning and `python -m trainer.data check` ask here, so they refuse the same.
"""

from __future__ import annotations

from collections.abc import Iterator

from trainer.data.census import Census, name_some
from trainer.data.files.folder import Folder
from trainer.data.source import Source
from trainer.errors import DataError

__all__ = ["require_classes", "require_labelled", "unmet"]

MOST_MAPPED = 3


def unmet(census: Census, source: Source, *, absent_classes: bool) -> Iterator[str]:
    """Why a run on `source` is refused, one sentence each; `absent_classes` are allowed or not."""
    for split in source.splits:
        if split in census.splits:
            try:
                require_labelled(census, source, split)
                if split == "train" and not absent_classes:
                    require_classes(census, source, split)
            except DataError as error:
                yield str(error)


def require_labelled(census: Census, source: Source, split: str) -> None:
    """Raise DataError for a split without a labelled pixel: its loss and its metrics are undefined."""
    if census.of(census.parts_of(split, source.parts(split))).labelled:
        return
    meaning = f", correct map or ignore in {source.description.path}," if isinstance(source, Folder) else ""
    raise DataError(
        f"every label of {split} is void everywhere, so there is nothing to average; label it{meaning} or choose "
        "another split"
    )


def require_classes(census: Census, source: Source, split: str) -> None:
    """Raise DataError for classes that no label of the training split shows."""
    parts = census.parts_of(split, source.parts(split))
    absent = census.absent(parts)
    if not absent:
        return
    counted = census.of(parts)
    what = f"class{'es' if len(absent) > 1 else ''} {name_some(tuple(map(repr, absent)))}"
    if not isinstance(source, Folder):
        raise DataError(
            f"no label of {split} shows {what}; check that the data set is complete, or set data.absent_classes: allow"
        )
    if not source.description.codes.plain:
        raise DataError(
            f"no label of {split} shows {what}; correct map or names in {source.description.path}, "
            "or set data.absent_classes: allow"
        )
    held = [index for index, pixels in enumerate(counted.pixels) if pixels]
    values = [*map(str, held), *(["255"] if counted.void else [])]
    listed = f"{', '.join(values[:-1])} and {values[-1]}" if len(values) > 1 else "".join(values)
    remedy = suggestion(census, held, counted.void, source.description.path.name)
    raise DataError(
        f"no label of {split} shows {what}; the labels hold {listed}; {remedy}, or set data.absent_classes: allow"
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
