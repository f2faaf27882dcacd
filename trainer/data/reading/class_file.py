"""`classes.yaml` of a folder data set: names and, optionally, colours of its classes.

The trainer imports no YAML library, so this reads exactly two lists and refuses anything else with its line:

    names:
      - road
      - building
    palette:             # may be left out
      - [128, 64, 128]
      - [70, 70, 70]

Either list can also be on one line, `names: [road, building]`. Any YAML reader reads such a file equally.
"""

from __future__ import annotations

import re
from pathlib import Path

from trainer.data.source import IGNORE_INDEX, Colour
from trainer.errors import DataError

__all__ = ["read_classes"]

MAX_CHARACTERS = 100_000
"""Of the file: 255 names of 300 characters, with their colours."""
MAX_QUOTED = 200
"""Characters of the file that a message quotes."""
EXAMPLE = "write `names:` and below it `  - road`, one class per line"
PLAIN_NAME = r"[A-Za-z_][\w .()/+-]*"
COLOUR = re.compile(r"\[\s*(\d{1,9})\s*,\s*(\d{1,9})\s*,\s*(\d{1,9})\s*\]")
ITEM = {
    "names": re.compile(rf"'(?:[^']|'')*'|\"[^\"\\]*\"|{PLAIN_NAME}"),
    "palette": COLOUR,
}
NOT_TEXT = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n"})
"""Words that some YAML readers do not read as text."""


def read_classes(path: Path) -> tuple[tuple[str, ...], tuple[Colour, ...]]:
    """Names and palette (empty if not given). Raises DataError with file, line and remedy."""
    try:
        with path.open(encoding="utf-8") as file:
            text = file.read(MAX_CHARACTERS + 1)
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read ({type(error).__name__}); {EXAMPLE}") from error
    if len(text) > MAX_CHARACTERS:
        raise DataError(f"{path}: more than {MAX_CHARACTERS} characters; {EXAMPLE}")
    items = read_lists(path, text)
    names = tuple(item for _, item in items.get("names", []))
    if not names:
        raise DataError(f"{path}: no class names; {EXAMPLE}")
    if len(names) > IGNORE_INDEX:
        raise DataError(f"{path}: {len(names)} classes; labels have 8 bits, so use at most {IGNORE_INDEX}")
    return tuple(require_distinct(path, items["names"])), read_palette(path, items.get("palette", []), len(names))


def read_lists(path: Path, text: str) -> dict[str, list[tuple[int, str]]]:
    """Line number and text of each item, by key."""
    items: dict[str, list[tuple[int, str]]] = {}
    key = ""
    for number, line in enumerate(text.splitlines(), start=1):
        content = line.partition(" #")[0].rstrip()
        if not content.strip() or content.lstrip().startswith("#") or content == "---":
            continue
        if head := re.fullmatch(r"(names|palette):\s*(.*)", content):
            key = head[1]
            if key in items:
                raise DataError(f"{path}:{number}: {key} is given twice; keep one")
            items[key] = [(number, item) for item in flow_items(path, number, key, head[2])]
        elif key and (item := re.fullmatch(r"\s*-\s+(.*)", content)):
            items[key].append((number, one_item(path, number, key, item[1])))
        else:
            raise DataError(f"{path}:{number}: cannot be read; {EXAMPLE}")
    return items


def flow_items(path: Path, number: int, key: str, text: str) -> list[str]:
    """The items of `[a, b]`; none for empty text."""
    if not text:
        return []
    if not (text.startswith("[") and text.endswith("]")):
        raise DataError(f"{path}:{number}: {key} must be a list; {EXAMPLE}")
    inside, items = text[1:-1].strip(), []
    while inside:
        found = ITEM[key].match(inside)
        rest = "" if found is None else inside[found.end() :].lstrip()
        if found is None or (rest and not rest.startswith(",")):
            raise DataError(f"{path}:{number}: {inside[:MAX_QUOTED]!r} cannot be read; {EXAMPLE}")
        items.append(one_item(path, number, key, found[0].strip()))
        inside = rest[1:].lstrip()
    return items


def one_item(path: Path, number: int, key: str, text: str) -> str:
    """The item's text without quotes, checked."""
    if not ITEM[key].fullmatch(text):
        wanted = "a colour [red, green, blue]" if key == "palette" else "a plain name; put it in quotes"
        raise DataError(f"{path}:{number}: {text[:MAX_QUOTED]!r} is not {wanted}")
    if key == "palette":
        return text
    if text[0] in "'\"":
        return text[1:-1].replace("''", "'") if text[0] == "'" else text[1:-1]
    if text.lower() in NOT_TEXT:
        raise DataError(f"{path}:{number}: {text} is not text for every YAML reader; put it in quotes")
    return text


def require_distinct(path: Path, items: list[tuple[int, str]]) -> list[str]:
    """The texts of the items. Raises DataError for the first that is empty or repeated."""
    seen: list[str] = []
    for number, item in items:
        if not item.strip() or item in seen:
            raise DataError(f"{path}:{number}: class name {item[:MAX_QUOTED]!r} is empty or repeated; names differ")
        seen.append(item)
    return seen


def read_palette(path: Path, items: list[tuple[int, str]], classes: int) -> tuple[Colour, ...]:
    """The colours; empty if none are given."""
    if items and len(items) != classes:
        raise DataError(f"{path}:{items[0][0]}: {len(items)} colours for {classes} classes; give one per class or none")
    palette: list[Colour] = []
    for number, item in items:
        red, green, blue = (int(value) for value in item.strip("[] ").split(","))
        if max(red, green, blue) > 255 or (red, green, blue) in palette:
            raise DataError(f"{path}:{number}: colour {item} is above 255 or repeated; colours must be distinct")
        palette.append((red, green, blue))
    return tuple(palette)
