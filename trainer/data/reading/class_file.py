"""`classes.yaml` of a folder data set: names and, optionally, colours of its classes.

The trainer imports no YAML library (one would let unchecked dicts in by a second door), so this reads exactly two
lists and refuses everything else, with its line:

    names:
      - road
      - building
    palette:             # may be left out
      - [128, 64, 128]
      - [70, 70, 70]

Either list may also stand in one line, `names: [road, building]`. Every such file means the same to any YAML reader.
"""

from __future__ import annotations

import re
from pathlib import Path

from trainer.data.source import IGNORE_INDEX
from trainer.errors import DataError

__all__ = ["read_classes"]

Colour = tuple[int, int, int]

EXAMPLE = "write `names:` and below it `  - road`, one class per line"
PLAIN_NAME = r"[A-Za-z_][\w .()/+-]*"
COLOUR = re.compile(r"\[\s*(\d+)\s*,\s*(\d+)\s*,\s*(\d+)\s*\]")
ITEM = {
    "names": re.compile(rf"'(?:[^']|'')*'|\"[^\"\\]*\"|{PLAIN_NAME}"),
    "palette": COLOUR,
}
NOT_TEXT = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n"})
"""Words that some YAML readers take for something else than text."""


def read_classes(path: Path) -> tuple[tuple[str, ...], tuple[Colour, ...]]:
    """Names and palette (empty when not given). Raises DataError naming file, line and remedy."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read ({type(error).__name__}); {EXAMPLE}") from error
    items = read_lists(path, text)
    names = tuple(item for _, item in items.get("names", []))
    if not names:
        raise DataError(f"{path}: no class names; {EXAMPLE}")
    if len(names) > IGNORE_INDEX:
        raise DataError(f"{path}: {len(names)} classes; labels have 8 bits, so at most {IGNORE_INDEX}")
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
            raise DataError(f"{path}:{number}: cannot be read here; {EXAMPLE}")
    return items


def flow_items(path: Path, number: int, key: str, text: str) -> list[str]:
    """The items of `[a, b]`; none of an empty text."""
    if not text:
        return []
    if not (text.startswith("[") and text.endswith("]")):
        raise DataError(f"{path}:{number}: {key} must be a list; {EXAMPLE}")
    inside, items = text[1:-1].strip(), []
    while inside:
        found = ITEM[key].match(inside)
        rest = "" if found is None else inside[found.end() :].lstrip()
        if found is None or (rest and not rest.startswith(",")):
            raise DataError(f"{path}:{number}: {inside!r} cannot be read; {EXAMPLE}")
        items.append(one_item(path, number, key, found[0].strip()))
        inside = rest[1:].lstrip()
    return items


def one_item(path: Path, number: int, key: str, text: str) -> str:
    """The item's text without quotes, checked."""
    if not ITEM[key].fullmatch(text):
        wanted = "a colour [red, green, blue]" if key == "palette" else "a name; put others than plain words in quotes"
        raise DataError(f"{path}:{number}: {text!r} is not {wanted}")
    if key == "palette":
        return text
    if text[0] in "'\"":
        return text[1:-1].replace("''", "'") if text[0] == "'" else text[1:-1]
    if text.lower() in NOT_TEXT:
        raise DataError(f"{path}:{number}: {text} is not text to every YAML reader; put it in quotes")
    return text


def require_distinct(path: Path, items: list[tuple[int, str]]) -> list[str]:
    """The items' texts; DataError at the first that is empty or was there before."""
    seen: list[str] = []
    for number, item in items:
        if not item.strip() or item in seen:
            raise DataError(f"{path}:{number}: class name {item!r} is empty or was there before; each must differ")
        seen.append(item)
    return seen


def read_palette(path: Path, items: list[tuple[int, str]], classes: int) -> tuple[Colour, ...]:
    """The colours; empty when none is given."""
    if items and len(items) != classes:
        raise DataError(f"{path}:{items[0][0]}: {len(items)} colours for {classes} classes; give one to each, or none")
    palette: list[Colour] = []
    for number, item in items:
        red, green, blue = (int(value) for value in item.strip("[] ").split(","))
        if max(red, green, blue) > 255 or (red, green, blue) in palette:
            raise DataError(f"{path}:{number}: colour {item} is over 255 or was there before; each must differ")
        palette.append((red, green, blue))
    return tuple(palette)
