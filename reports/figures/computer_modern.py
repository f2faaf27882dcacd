"""Sets the texts of a figure in Computer Modern, the font of LaTeX, by the fonts that matplotlib ships.

cmr10 has the letters in TeX's encoding, not in that of Unicode: other characters become symbols of its mathtext.
"""

from __future__ import annotations

from typing import Any

from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.ticker import Formatter

from reports.math_symbols import MATH_SYMBOLS

__all__ = ["FONT", "set_in_computer_modern", "to_mathtext"]

FONT = "cmr10"
INSTEAD = "STIXGeneral"
"""The font of a text with a character that Computer Modern lacks, such as an accent."""

AS_THEY_ARE = frozenset(map(chr, range(0x20, 0x7F))) - frozenset('$\\^_{|}~<>"`')
"""ASCII characters that cmr10 has at their own place."""
SYMBOLS = {
    "$": r"\$",
    "“": "``",
    "”": "''",
    '"': "''",
    "‘": "`",
    "`": "`",
    "’": "'",
    "–": "{",  # TeX's encoding has dashes where ASCII has braces
    "—": "|",
    "…": "...",
    "\u200b": "",
    **{
        character: f"${command}$"
        for character, command in {
            "\\": r"\backslash",
            "_": r"\_",
            "{": r"\{",
            "}": r"\}",
            "|": "|",
            "<": "<",
            ">": ">",
            "~": r"\sim",
            **MATH_SYMBOLS,
        }.items()
    },
}

MATHTEXT = r"$\mathdefault{"
"""Start of the labels that matplotlib itself makes for numbers."""


def to_mathtext(text: str) -> str | None:
    """`text` as matplotlib's mathtext prints it in Computer Modern; None for one with a character that it lacks."""
    parts = []
    for character in text:
        if character in AS_THEY_ARE or character == "\n":
            parts.append(character)
        elif character in SYMBOLS:
            parts.append(SYMBOLS[character])
        else:
            return None
    return "".join(parts)


class MathtextFormatter(Formatter):
    """The labels of the ticks of another formatter as mathtext."""

    def __init__(self, inner: Formatter) -> None:
        self.inner = inner

    def set_axis(self, axis: Any) -> None:
        """As of the inner one."""
        super().set_axis(axis)
        self.inner.set_axis(axis)

    def format_ticks(self, values: list[float]) -> list[str]:
        """The labels of all ticks."""
        return [shown(label) for label in self.inner.format_ticks(values)]

    def __call__(self, x: float, pos: int | None = None) -> str:
        """The label of one tick."""
        return shown(self.inner(x, pos))

    def get_offset(self) -> str:
        """What all labels have in common."""
        return shown(self.inner.get_offset())


def shown(label: str) -> str:
    """A label as mathtext; one that is mathtext, or has no such form, stays."""
    found = None if label.startswith(MATHTEXT) else to_mathtext(label)
    return label if found is None else found


def set_in_computer_modern(figure: Figure) -> None:
    """Set all texts that a figure has by now, and the labels of its ticks."""
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(MathtextFormatter(axis.get_major_formatter()))
    for text in figure.findobj(Text):
        found = to_mathtext(text.get_text())
        if found is None:
            text.set(fontfamily=INSTEAD, parse_math=False)
        else:
            text.set(text=found, parse_math=True)
