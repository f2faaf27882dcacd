"""Which figures of a folder need not be drawn: an index says what each shows and what its files contain."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from orchestrator.errors import FigureError, StoreError
from orchestrator.machine.atomic_file import open_no_link, replace_file
from orchestrator.machine.first_few import first_few
from orchestrator.machine.sealed_json import seal, unseal
from orchestrator.store.disk_errors import disk_remedy
from reports.figures.drawing import DrawFigures, Drawing

__all__ = ["INDEX", "kept_figures", "lacking", "write_drawings"]

INDEX = ".drawn.json"
"""The index: by name of a figure, its `Drawing.digest` and the SHA-256 of each of its files."""

LISTED = 3
"""Figures that a message names of those that are not drawn."""


def lacking(drawings: Sequence[Drawing], folder: Path) -> list[Drawing]:
    """Those of `drawings` whose files are not in `folder` as they would be drawn."""
    index = read_index(folder)
    return [drawing for drawing in drawings if not is_kept(drawing, folder, index.get(drawing.name))]


def kept_figures(folder: Path) -> dict[str, dict[str, Path]]:
    """The SVG files of the figures in `folder` that are what was drawn last; name -> `svg` -> path."""
    found: dict[str, dict[str, Path]] = {}
    for name, entry in read_index(folder).items():
        path = folder / f"{name}.svg"
        try:
            if digests({"svg": content_of(path)})["svg"] == entry["files"]["svg"]:
                found[name] = {"svg": path}
        except (OSError, KeyError, TypeError):  # removed, or an index that is not ours
            continue
    return found


def write_drawings(
    drawings: Sequence[Drawing], folder: Path, draw: DrawFigures | None = None
) -> dict[str, dict[str, Path]]:
    """Draw what `folder` lacks, by default in this process; returns name -> format -> path of all.

    Raises StoreError when the folder cannot be written, and FigureError at the end for figures that are not drawn.
    """
    missing = lacking(drawings, folder)
    index = read_index(folder)
    contents: Mapping[str, Mapping[str, bytes] | str] = {}
    if missing:
        for drawing in missing:
            index.pop(drawing.name, None)
        write(folder / INDEX, seal(index), folder / missing[0].name)  # before seconds are spent on drawing
        contents = (draw or draw_here)(missing)
    reasons: dict[str, dict[str, None]] = {}
    paths: dict[str, dict[str, Path]] = {}
    for drawing in drawings:
        paths[drawing.name] = {kind: path_of(drawing, kind, folder) for kind in drawing.formats}
    for drawing in missing:
        content = contents[drawing.name]
        if isinstance(content, str):
            reasons.setdefault(content, {})[drawing.figure] = None
            del paths[drawing.name]
        else:
            for kind, path in paths[drawing.name].items():
                write(path, content[kind], folder / drawing.name)
            index[drawing.name] = {"drawing": drawing.digest, "files": digests(content)}
    if any(drawing.name in paths for drawing in missing):
        write(folder / INDEX, seal(index), folder / INDEX)
    if reasons:
        mistakes = [f"{first_few([*names], LISTED)}: {reason}" for reason, names in reasons.items()]
        raise FigureError(mistakes, paths)
    return paths


def draw_here(drawings: Sequence[Drawing]) -> dict[str, dict[str, bytes]]:
    """Draw figures in this process, by name. What matplotlib raises passes through."""
    from reports.figures.draw import draw_files  # matplotlib takes half a second to import

    return {drawing.name: draw_files(drawing) for drawing in drawings}


def read_index(folder: Path) -> dict[str, Any]:
    """The index of a folder; empty where there is none, or something else."""
    try:
        found = unseal(content_of(folder / INDEX))
    except (OSError, ValueError):
        return {}
    return found.values if found.verified else {}


def is_kept(drawing: Drawing, folder: Path, entry: object) -> bool:
    """Whether `folder` has the files of a drawing, by its entry of the index."""
    if not isinstance(entry, dict) or entry.get("drawing") != drawing.digest:
        return False
    try:
        found = {kind: content_of(path_of(drawing, kind, folder)) for kind in drawing.formats}
    except OSError:
        return False
    return bool(entry.get("files") == digests(found))


def digests(contents: Mapping[str, bytes]) -> dict[str, str]:
    """SHA-256 of each content."""
    return {kind: hashlib.sha256(content).hexdigest() for kind, content in contents.items()}


def path_of(drawing: Drawing, kind: str, folder: Path) -> Path:
    """The file of a drawing in one format."""
    return folder / f"{drawing.name}.{kind}"


def content_of(path: Path) -> bytes:
    """Content of a file that is no link and no pipe. Raises OSError."""
    with open(path, "rb", opener=open_no_link) as file:
        os.set_blocking(file.fileno(), True)
        return file.read()


def write(path: Path, content: bytes, name: Path) -> None:
    """Write a file atomically. Raises StoreError with `name`."""
    try:
        replace_file(path, content, durable=False)
    except OSError as error:
        remedy = disk_remedy(error, name) or "use another --out"
        text = f"{name}: cannot be written ({error.strerror or error}); {remedy}"
        raise StoreError(text) from error
