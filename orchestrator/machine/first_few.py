"""first_few: many texts in one line, the first ones in full and the others as a number."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["first_few"]


def first_few(texts: Sequence[str], most: int, separator: str = ", ") -> str:
    """`a, b and 3 more`; with `; ` as separator `a; b; and 3 more`."""
    more = len(texts) - most
    last = " and" if separator == ", " else f"{separator}and"
    return separator.join(texts[:most]) + (f"{last} {more} more" if more > 0 else "")
