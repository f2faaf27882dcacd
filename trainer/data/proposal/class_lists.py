"""Names of classes in the files that data sets come with, each with its id or colour."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainer.data.source import Colour

__all__ = ["ClassList", "find_class_list"]

MAX_BYTES = 1_000_000
RGB_NAME = re.compile(r"\s*(\d{1,3})\s+(\d{1,3})\s+(\d{1,3})\s+(\S.*?)\s*")
CVAT = re.compile(r"([^:#][^:]*):(\d{1,3}),(\d{1,3}),(\d{1,3}):.*")


@dataclass(frozen=True, kw_only=True, slots=True)
class ClassList:
    """Names in order."""

    path: Path
    names: tuple[str, ...]
    colours: Mapping[Colour, str]
    """Empty for a list without colours."""
    first_id: int
    """Id of the first name."""


def find_class_list(files: Sequence[Path]) -> ClassList | None:
    """The first list that can be read."""
    for name, read in READERS.items():
        for path in files:
            if path.name.lower() == name and path.stat().st_size <= MAX_BYTES:
                with suppress(OSError, ValueError, KeyError, TypeError, IndexError):
                    found = read(path)
                    if found.names and len(set(found.names)) == len(found.names):
                        return found
    return None


def coloured(path: Path, rows: Sequence[tuple[str, Sequence[Any]]]) -> ClassList:
    """A list of names with colours."""
    colours: dict[Colour, str] = {}
    for name, colour in rows:
        red, green, blue = map(int, colour)
        colours[red, green, blue] = name
    return ClassList(path=path, names=tuple(dict.fromkeys(name for name, _ in rows)), colours=colours, first_id=0)


def read_csv(path: Path) -> ClassList:
    """`name,r,g,b`, as in class_dict.csv."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = [[cell.strip() for cell in row] for row in csv.reader(file) if row]
    return coloured(path, [(row[0], row[1:4]) for row in rows[1:]])


def read_colour_lines(path: Path) -> ClassList:
    """`64 128 64  Animal`, as in label_colors.txt of CamVid."""
    found = [match for line in path.read_text(encoding="utf-8").splitlines() if (match := RGB_NAME.fullmatch(line))]
    return coloured(path, [(match[4], match.groups()[:3]) for match in found])


def read_cvat(path: Path) -> ClassList:
    """`car:0,0,142::`, as in labelmap.txt of CVAT."""
    found = [match for line in path.read_text(encoding="utf-8").splitlines() if (match := CVAT.fullmatch(line))]
    return coloured(path, [(match[1].strip(), match.groups()[1:4]) for match in found])


def read_machine_colours(path: Path) -> ClassList:
    """obj_class_to_machine_color.json of Supervisely, without its background."""
    return coloured(path, [("background", (0, 0, 0)), *json.loads(path.read_text(encoding="utf-8")).items()])


def read_lines(path: Path) -> ClassList:
    """One name a line; `__ignore__` of labelme is no class."""
    names = [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines()]
    kept = tuple(name for name in names if name and name != "__ignore__")
    return ClassList(path=path, names=kept, colours={}, first_id=0)


def read_ade(path: Path) -> ClassList:
    """objectInfo150.txt of ADE20K: the first of the names in the last column; ids start at 1."""
    rows = [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines()[1:] if line.strip()]
    names = tuple(row[-1].split(",")[0].strip() for row in rows)
    return ClassList(path=path, names=names, colours={}, first_id=int(rows[0][0]))


READERS: Mapping[str, Callable[[Path], ClassList]] = {
    "class_dict.csv": read_csv,
    "label_colors.txt": read_colour_lines,
    "labelmap.txt": read_cvat,
    "obj_class_to_machine_color.json": read_machine_colours,
    "objectinfo150.txt": read_ade,
    "class_names.txt": read_lines,
    "labels.txt": read_lines,
    "classes.txt": read_lines,
}
"""The files that are known, by name in lower case."""
