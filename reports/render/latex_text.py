"""Plain text as LaTeX that prints it as it is."""

from __future__ import annotations

import re
import unicodedata

from reports.math_symbols import MATH_SYMBOLS

__all__ = ["escape"]

LONG_WORD = 20
"""Characters above which a word may break."""


ESCAPES = {
    **{character: f"\\{character}" for character in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': "''",
    "`": r"\`{}",
    "[": "{[}",  # after \\ a bracket or a star would be an argument
    "]": "{]}",
    "*": "{*}",
    "“": "``",
    "”": "''",
    "‘": "`",
    "’": "'",
    "–": "--",
    "—": "---",
    "…": r"\ldots{}",
    "§": r"\S{}",
    "¶": r"\P{}",
    **{
        character: f"${command}$"
        for character, command in {
            "†": r"\dagger",
            "‡": r"\ddagger",
            "✓": r"\checkmark",
            "√": r"\surd",
            "²": "^2",
            "³": "^3",
            "µ": r"\mu",
            "°": r"^\circ",
            **MATH_SYMBOLS,
        }.items()
    },
}


def escape(text: str) -> str:
    """`text` on one line, printed as it is; a word of more than 20 characters may break, and ` - ` becomes a dash.

    A character that pdflatex cannot print without further packages loses its accents or becomes its code point
    (`U+4E2D`).
    """
    return " ".join("--" if word == "-" else escape_word(word) for word in text.split())


def escape_word(word: str) -> str:
    """One word; a long one may break after punctuation and after every twelve characters."""
    pieces, since = [], 0
    for match in re.finditer(r"-{2,}|.", word):
        pieces.append(escape_part(match[0]))
        since += len(match[0])
        if len(word) > LONG_WORD and (since >= 12 or (since > 2 and not match[0].isalnum())):
            pieces.append(r"\allowbreak{}")
            since = 0
    return "".join(pieces)


def escape_part(character: str) -> str:
    """LaTeX for one character, or for several hyphens (without braces, `--seeds` would start with a dash)."""
    if len(character) > 1:
        return "{-}" * len(character)
    if character in ESCAPES:
        return ESCAPES[character]
    if " " <= character <= "~" or unicodedata.normalize("NFC", character) in "äöüÄÖÜßáàâéèêëíìîïóòôúùûñçåÅøØæÆ":
        return character
    plain = unicodedata.normalize("NFKD", character).encode("ascii", "ignore").decode()
    return "".join(ESCAPES.get(part, part) for part in plain) or f"U+{ord(character):04X}"
