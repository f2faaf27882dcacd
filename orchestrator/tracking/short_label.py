"""short_label: a label in a given number of terminal cells, without broken words."""

from __future__ import annotations

from rich.cells import cell_len, set_cell_size

__all__ = ["short_label"]

ELLIPSIS = "…"
KEPT_AT_END = 2
"""Words that stay at the end: `seed 2`."""


def short_label(text: str, width: int) -> str:
    """`text` in `width` cells: words before the last two give way to an ellipsis, as in `pixel + … seed 2`.

    A word is cut only where it alone is too long.
    """
    if cell_len(text) <= width:
        return text
    words = text.split()
    end = [ELLIPSIS, *words[-KEPT_AT_END:]]
    for count in range(len(words) - KEPT_AT_END - 1, 0, -1):
        short = " ".join([*words[:count], *end])
        if cell_len(short) <= width:
            return short
    left = max(width - 1, 0) // 2
    return set_cell_size(text, left) + ELLIPSIS + tail_of(text, width - 1 - left) if width else ""


def tail_of(text: str, width: int) -> str:
    """The end of `text` in at most `width` cells."""
    start = len(text)
    while start and cell_len(text[start - 1 :]) <= width:
        start -= 1
    return text[start:]
