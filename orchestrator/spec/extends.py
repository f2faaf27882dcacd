"""`extends`: a file takes over blocks of other files; every value keeps the file and line it was written in."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from functools import partial, reduce
from pathlib import Path
from typing import Any

from orchestrator.errors import SpecError, SpecErrorCollector
from orchestrator.spec.paths import expanded, is_file, missing_file
from orchestrator.spec.plugins import PLUGINS_KEY
from orchestrator.spec.shipped import SHIPPED_RECIPES, SHIPPED_SPACES, shipped_file
from orchestrator.spec.validators import extended_files
from orchestrator.spec.yaml_document import MAX_CHARACTERS, Block, Document, Items, KeyPath, read_yaml, without

__all__ = ["RECIPE", "SEARCH_SPACE", "own_text", "read_extended"]

SettingsDepth = Mapping[str, int] | None
SEARCH_SPACE: SettingsDepth = {"fixed": 0, "baseline": 0, "rows": 1, "leave_one_out": 1}
"""Blocks of a search space that hold settings, and how many labels deep: in settings, `a.b: 1` is `a: {b: 1}`."""
RECIPE: SettingsDepth = None
"""A recipe holds nothing but settings."""

KEY = "extends"
EXTENDED = "\n# extended:\n"
"""In the text of a document, before the commented text of the files that it extends."""

MAX_FILES = 50
"""Files that a file extends, directly or not; one that is extended twice counts twice."""


def read_extended(path: Path, depth: SettingsDepth) -> Document:
    """The file at `path` merged with the files it extends; the key `extends` itself is removed.

    A file that is not there may be one of the project's. Blocks are merged recursively, the file's own keys win, lists
    are replaced, and `name` is not inherited, as it names the results. Raises SpecError with one line per mistake:
    those of `read_yaml`, a missing file, a cycle, or more files or text than a specification has.
    """
    return read_chain((path,), depth, [])


def read_chain(chain: tuple[Path, ...], depth: SettingsDepth, read: list[int]) -> Document:
    """The last file of `chain`, merged with those it extends; each file of `chain` extends the next.

    `read` gets the length of each file.
    """
    path = chain[-1]
    document = read_yaml(path)
    make_plugins_absolute(document, path)
    read.append(len(document.text))
    if KEY not in document.values:
        return document
    where = f"{document.origin(KEY)}: {KEY}"
    try:
        given = extended_files(document.values[KEY])
    except ValueError as error:
        raise SpecError(f"{where}: {error}") from error
    bases: list[Document] = []
    errors = SpecErrorCollector()
    for name in given if isinstance(given, list) else [given]:
        other = Path(os.path.normpath(path.parent / expanded(name)))
        with errors:
            if not is_file(other):
                shipped = SHIPPED_RECIPES if depth is RECIPE else SHIPPED_SPACES
                if (found := shipped_file(name, shipped)) is None:
                    elsewhere = "" if os.path.isdir(other) else f" (nor is it in {shipped})"  # noqa: PTH112 - never raises
                    raise SpecError(f"{where}: {other}: {missing_file(other)}{elsewhere}")
                other = found
            if any(other.samefile(file) for file in chain):
                cycle = " -> ".join(file.name for file in (*chain, other))
                raise SpecError(f"{where}: the files extend each other in a cycle ({cycle}); remove one")
            if len(read) > MAX_FILES or sum(read) > MAX_CHARACTERS:
                raise SpecError(
                    f"{where}: more than {MAX_FILES} files or {MAX_CHARACTERS} characters in all; extend fewer files"
                )
            bases.append(read_chain((*chain, other), depth, read))
    errors.raise_any()
    inherited = without(reduce(partial(merge, depth=depth), (base.values for base in bases)), {("name",)})
    values = merge(inherited, without(document.values, {(KEY,)}), depth)
    inherited_text = reduce(lambda earlier, later: f"{earlier.rstrip()}\n{later}", (base.text for base in bases))
    quoted = "".join(f"# {line}".rstrip() + "\n" for line in inherited_text.splitlines())
    return Document(values=values, top=document.top, text=f"{document.text.rstrip()}{EXTENDED}{quoted}")


def own_text(text: str) -> str:
    """The text of a document without that of the files that it extends."""
    own, mark, _ = text.partition(EXTENDED)
    return f"{own}\n" if mark else text


def make_plugins_absolute(document: Document, path: Path) -> None:
    """Make the plugin files that a file names absolute, as they are relative to it and others may extend it."""
    given = document.values.get(PLUGINS_KEY)

    def absolute(name: Any) -> Any:
        is_file_name = isinstance(name, str) and (name.endswith(".py") or "/" in name)
        return os.path.normpath(path.parent.absolute() / expanded(name)) if is_file_name else name

    if isinstance(given, Items):
        given[:] = map(absolute, given)
    elif PLUGINS_KEY in document.values:
        document.values[PLUGINS_KEY] = absolute(given)


def merge(base: Block, own: Block, depth: SettingsDepth) -> Block:
    """`own` on top of `base`, without the settings of `base` that `own` spells in another way."""
    return merge_blocks(without(base, respelled(base, own, depth)), own)


def merge_blocks(base: Block, own: Block) -> Block:
    """Both blocks, recursively; the values of `own` win."""
    merged = Block()
    for key in dict.fromkeys((*base, *own)):
        source = own if key in own else base
        is_block_in_both = all(isinstance(block.get(key), Block) for block in (base, own))
        merged[key] = merge_blocks(base[key], own[key]) if is_block_in_both else source[key]
        merged.origins[key] = source.origins[key]
    return merged


def respelled(base: Block, own: Block, depth: SettingsDepth) -> set[KeyPath]:
    """Paths in `base` to settings that `own` has as well, but nested or dotted in another way."""
    if depth is None:
        return respelled_settings(base, own, ())
    found: set[KeyPath] = set()
    for name, labels in depth.items():
        lower, upper = base.get(name), own.get(name)
        if isinstance(lower, Block) and isinstance(upper, Block):
            pairs = [((name, label), lower[label], upper.get(label)) for label in lower]
            for path, below, above in pairs if labels else [((name,), lower, upper)]:
                if isinstance(below, Block) and isinstance(above, Block):
                    found |= respelled_settings(below, above, path)
    return found


def respelled_settings(base: Block, own: Block, path: KeyPath) -> set[KeyPath]:
    """`respelled` within one block of settings, which is at `path`."""
    spelled = {".".join(leaf): leaf for leaf in leaves(own, ())}
    return {(*path, *leaf) for leaf in leaves(base, ()) if spelled.get(".".join(leaf), leaf) != leaf}


def leaves(block: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """Paths to the values in a block."""
    for key, value in block.items():
        if isinstance(value, Block) and value:
            yield from leaves(value, (*path, key))
        else:
            yield (*path, key)
