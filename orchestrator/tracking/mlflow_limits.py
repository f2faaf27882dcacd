"""Limits of MLflow: names it refuses, values it finds too long; what is changed is changed the same way each time.

A name keeps its meaning: a character that MLflow does not take is written as its code point between colons,
`c++` as `c:2b::2b:`, and `read_name` takes that back. Only a name or value too long is cut; an artifact in the run's
folder `full_text` then has the whole of it.
"""

from __future__ import annotations

import hashlib
import posixpath
import re
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

__all__ = ["LONGEST_NOTE", "LONGEST_VALUE", "fit_name", "fit_value", "in_batches", "read_name"]

T = TypeVar("T")

LONGEST_NAME, LONGEST_VALUE, LONGEST_NOTE = 250, 5000, 7500
"""Characters; MLflow takes names of 250, parameters of 6,000 and tags of 8,000."""

REFUSED = re.compile(r"[^\w.\- /]")
ESCAPED = re.compile(r":([0-9a-f]+):")
CUT = re.compile(r"\.\.[0-9a-f]{12}$")
BATCH_CHARACTERS = 200_000
"""A request carries less than a megabyte, also where a character takes four bytes."""


def fit_name(name: str) -> str:
    """`name` as MLflow takes it for a metric, parameter or tag; `read_name` is the inverse for one not too long."""
    fitted = REFUSED.sub(escaped, name)
    if not is_path(fitted):
        fitted = re.sub(r"[./]", escaped, fitted) or "::"
    if len(fitted) > LONGEST_NAME:
        digest = hashlib.sha256(name.encode()).hexdigest()[:12]
        fitted = f"{fitted[: LONGEST_NAME - 14]}..{digest}"
    return fitted


def read_name(fitted: str) -> str | None:
    """The name that `fit_name` made `fitted` of; None where it was cut."""
    if CUT.search(fitted) and len(fitted) == LONGEST_NAME:
        return None
    return "" if fitted == "::" else ESCAPED.sub(lambda match: chr(int(match[1], 16)), fitted)


def fit_value(value: str, longest: int = LONGEST_VALUE) -> str:
    """`value`, cut with a mark at its end where it is longer than `longest` characters."""
    return value if len(value) <= longest else f"{value[: longest - 1]}…"


def in_batches(items: Sequence[T], most: int, size: Callable[[T], int]) -> Iterator[Sequence[T]]:
    """The items in their order, at most `most` and a request's worth of characters (`size`) at a time."""
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
    """Whether MLflow, which reads names as paths, finds this one to be no other's."""
    return bool(name) and posixpath.normpath(name) == name and not name.startswith(("/", "..")) and name != "."
