"""Adapts names and values that MLflow refuses, the same way every time.

A character that MLflow does not accept is written as its code point between colons, `c++` as `c:2b::2b:`; `read_name`
reverses that. A name or value that is too long is cut; an artifact in the run's folder `full_text` has all of it.
"""

from __future__ import annotations

import hashlib
import posixpath
import re
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

__all__ = ["LONGEST_NAME", "LONGEST_NOTE", "LONGEST_VALUE", "fit_name", "fit_value", "in_batches", "read_name"]

T = TypeVar("T")

LONGEST_NAME, LONGEST_VALUE, LONGEST_NOTE = 250, 5000, 7500
"""In characters; MLflow accepts names of 250, parameters of 6,000 and tags of 8,000."""

REFUSED = re.compile(r"[^\w.\- /]")
ESCAPED = re.compile(r":([0-9a-f]+):")
CUT = re.compile(r"\.\.[0-9a-f]{12}$")
BATCH_CHARACTERS = 200_000
"""Keeps a request below a megabyte even if a character takes four bytes."""


def fit_name(name: str) -> str:
    """`name` as MLflow accepts it for a metric, parameter or tag; `read_name` is the inverse unless it was cut."""
    fitted = REFUSED.sub(escaped, name)
    if not is_path(fitted):
        fitted = re.sub(r"[./]", escaped, fitted) or "::"
    if len(fitted) > LONGEST_NAME:
        digest = hashlib.sha256(name.encode()).hexdigest()[:12]
        fitted = f"{fitted[: LONGEST_NAME - 14]}..{digest}"
    return fitted


def read_name(fitted: str) -> str | None:
    """Inverse of `fit_name`; None if the name was cut."""
    if CUT.search(fitted) and len(fitted) == LONGEST_NAME:
        return None
    return "" if fitted == "::" else ESCAPED.sub(lambda match: chr(int(match[1], 16)), fitted)


def fit_value(value: str, longest: int = LONGEST_VALUE) -> str:
    """`value`; if longer than `longest` characters it is cut and ends with an ellipsis."""
    return value if len(value) <= longest else f"{value[: longest - 1]}…"


def in_batches(items: Sequence[T], most: int, size: Callable[[T], int]) -> Iterator[Sequence[T]]:
    """Split items into batches of at most `most` items and `BATCH_CHARACTERS` characters (`size` of an item)."""
    start, characters = 0, 0
    for index, item in enumerate(items):
        if index - start >= most or (index > start and characters + size(item) > BATCH_CHARACTERS):
            yield items[start:index]
            start, characters = index, 0
        characters += size(item)
    if start < len(items):
        yield items[start:]


def escaped(match: re.Match[str]) -> str:
    """One character as its code point between colons."""
    return f":{ord(match[0]):x}:"


def is_path(name: str) -> bool:
    """Whether MLflow, which treats names as paths, accepts this one: normalized, relative and not empty."""
    return bool(name) and posixpath.normpath(name) == name and not name.startswith(("/", "..")) and name != "."
