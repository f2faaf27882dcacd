"""User text in a figure: as typed, on few lines, in characters that the font has."""

from __future__ import annotations

import textwrap
from functools import cache

from matplotlib.font_manager import FontProperties, findfont, get_font

__all__ = ["fitted", "height_of", "literal", "number", "under"]


def literal(text: str) -> str:
    """`text` on one line; a character that the font lacks becomes its code point (`U+4E2D`), as in LaTeX."""
    return "".join(c if ord(c) in known_letters() else f"U+{ord(c):04X}" for c in " ".join(text.split()))


@cache
def known_letters() -> frozenset[int]:
    """Code points that the font of the figures has."""
    return frozenset(get_font(findfont(FontProperties(family="DejaVu Sans"))).get_charmap())


def fitted(text: str, width: int, lines: int = 2) -> str:
    """`literal` text on at most `lines` lines of `width` characters, cut with an ellipsis."""
    parts = textwrap.wrap(literal(text), width, break_on_hyphens=True) or [""]
    if len(parts) > lines:
        parts = [*parts[: lines - 1], parts[lines - 1][: width - 1].rstrip() + "…"]
    return "\n".join(parts)


def under(width: float, *texts: str) -> str:
    """Names and notes below a figure of `width` inches, each on up to two lines; empty ones are left out."""
    return "\n".join(fitted(text, int(width * 17)) for text in texts if text)


def height_of(text: str) -> float:
    """Height in inches of a text from `under`."""
    return 0.13 * len(text.splitlines())


def number(value: float) -> str:
    """A value of a factor as in the search space file: `0.07`, `5000`, `1e-05`."""
    return f"{value:g}" if abs(value) < 1e6 and value != int(value) else f"{value:.10g}"
