"""`extends`: a file takes over the blocks of others, and every value remembers the file and line it was written in."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from functools import partial, reduce
from pathlib import Path
from typing import Any

from orchestrator.errors import SpecError
from orchestrator.spec.paths import expanded, is_file, missing_file
from orchestrator.spec.validators import extended_files
from orchestrator.spec.yaml_document import Document, Origins, Place, read_yaml

__all__ = ["RECIPE", "SEARCH_SPACE", "read_extended"]

Kind = Mapping[str, int] | None
SEARCH_SPACE: Kind = {"fixed": 0, "baseline": 0, "rows": 1, "leave_one_out": 1}
"""Blocks of a search space that hold settings, and how many labels deep: there `a.b: 1` is `a: {b: 1}`."""
RECIPE: Kind = None
"""A recipe is settings all over."""

KEY = "extends"
OWN = "name"
"""Not taken over: it names the folder of the results."""


def read_extended(path: Path, kind: Kind) -> Document:
    """The file at `path` with the blocks of the files it extends; `extends` itself is gone.

    Blocks are merged deeply, own keys win, lists are replaced. Raises SpecError, one line per mistake: as `read_yaml`,
    a missing file, or a circle.
    """
    return read_through(path, kind, ())


def read_through(path: Path, kind: Kind, above: tuple[Path, ...]) -> Document:
    """`read_extended` of a file that `above`, the outermost first, extend."""
    document = read_yaml(path)
    if KEY not in document.values:
        return document
    origin = document.origins[KEY,]
    try:
        given = extended_files(document.values[KEY])
    except ValueError as error:
        raise SpecError(f"{origin}: {KEY}: {error}") from error
    chain = (*above, path)
    bases: list[Document] = []
    problems: list[str] = []
    for name in given if isinstance(given, list) else [given]:
        other = Path(os.path.normpath(path.parent / expanded(name)))
        if is_file(other) and any(other.samefile(file) for file in chain):
            circle = " -> ".join(file.name for file in (*chain, other))
            problems.append(f"{origin}: {KEY}: the files extend each other in a circle ({circle}); remove one")
        elif not is_file(other):
            problems.append(f"{origin}: {KEY}: {other}: {missing_file(other)}")
        else:
            try:
                bases.append(read_through(other, kind, chain))
            except SpecError as error:
                problems.extend(error.messages)
    if problems:
        raise SpecError(*problems)
    merged = reduce(partial(merge, kind=kind), bases)
    for key in (KEY, OWN):
        merged.values.pop(key, None)
    own = {key: value for key, value in document.values.items() if key != KEY}
    whole = merge(merged, Document(values=own, origins=document.origins, text=document.text), kind)
    quoted = "".join(f"# {line}".rstrip() + "\n" for line in merged.text.splitlines())
    return Document(values=whole.values, origins=whole.origins, text=f"{document.text.rstrip()}\n# extended:\n{quoted}")


def merge(base: Document, own: Document, kind: Kind) -> Document:
    """`base` under `own`, without the settings of `base` that `own` spells in another way."""
    values = without(base.values, respelled(base.values, own.values, kind))
    origins = dict(own.origins)
    merged = merge_blocks(values, own.values, (), base.origins, origins)
    return Document(values=merged, origins=Origins(origins), text=f"{base.text.rstrip()}\n{own.text}")


def merge_blocks(
    base: Mapping[str, Any], own: Mapping[str, Any], place: Place, from_base: Origins, origins: dict[Place, str]
) -> dict[str, Any]:
    """Both blocks; origins of what `base` contributes are added to `origins`."""
    merged: dict[str, Any] = {}
    for key in dict.fromkeys((*base, *own)):
        here = (*place, key)
        if key in own and key in base and isinstance(base[key], dict) and isinstance(own[key], dict):
            merged[key] = merge_blocks(base[key], own[key], here, from_base, origins)
        elif key in own:
            merged[key] = own[key]
        else:
            merged[key] = base[key]
            take_over(base[key], here, from_base, origins)
    return merged


def take_over(value: Any, place: Place, from_base: Origins, origins: dict[Place, str]) -> None:
    """Note where `value` and everything in it was written."""
    origins[place] = from_base[place]
    if isinstance(value, dict | list):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            take_over(item, (*place, key), from_base, origins)


def respelled(base: Mapping[str, Any], own: Mapping[str, Any], kind: Kind) -> set[Place]:
    """Places in `base` whose setting `own` has as well, nested or dotted in another way."""
    if kind is None:
        return respelled_settings(base, own, ())
    found: set[Place] = set()
    for name, depth in kind.items():
        one, other = base.get(name), own.get(name)
        if isinstance(one, dict) and isinstance(other, dict):
            pairs = (
                [((name,), one, other)]
                if depth == 0
                else [((name, label), one[label], other.get(label)) for label in one]
            )
            for place, before, after in pairs:
                if isinstance(before, dict) and isinstance(after, dict):
                    found |= respelled_settings(before, after, place)
    return found


def respelled_settings(base: Mapping[str, Any], own: Mapping[str, Any], place: Place) -> set[Place]:
    """`respelled` within one block of settings, which stands at `place`."""
    there = {".".join(path): path for path in leaves(own, ())}
    return {(*place, *path) for path in leaves(base, ()) if ".".join(path) in there and there[".".join(path)] != path}


def leaves(block: Mapping[str, Any], place: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """Paths to the values below a block."""
    for key, value in block.items():
        if isinstance(value, dict) and value:
            yield from leaves(value, (*place, key))
        else:
            yield (*place, key)


def without(block: Mapping[str, Any], places: set[Place], place: Place = ()) -> dict[str, Any]:
    """A block without the values at `places`, and without blocks that this leaves empty."""
    left: dict[str, Any] = {}
    for key, value in block.items():
        here = (*place, key)
        if here in places:
            continue
        if isinstance(value, dict) and value:
            value = without(value, places, here)
            if not value:
                continue
        left[key] = value
    return left
