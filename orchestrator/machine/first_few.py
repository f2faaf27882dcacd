"""The first ones of many texts in full, and the others as a number."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["first_few", "first_lines"]


def first_few(texts: Sequence[str], most: int, separator: str = ", ") -> str:
    """`a, b and 3 more`; with `; ` as separator `a; b; and 3 more`."""
    more = len(texts) - most
    last = " and" if separator == ", " else f"{separator}and"
    return separator.join(texts[:most]) + (f"{last} {more} more" if more > 0 else "")


def first_lines(lines: Sequence[str], most: int | None) -> list[str]:
    """The first `most` lines, then one such as `and 3 more; --all lists them`; all where `most` is None."""
    if most is None or len(lines) <= most:
        return list(lines)
    indent = " " * (len(lines[0]) - len(lines[0].lstrip()))
    return [*lines[:most], f"{indent}and {len(lines) - most} more; --all lists them"]
