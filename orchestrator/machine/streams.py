"""Standard output and error that every command can write to, in any encoding, and also if the caller closed them."""

from __future__ import annotations

import codecs
import io
import os
import sys

__all__ = ["ASCII_FORMS", "prepare_streams"]

ASCII_FORMS = {
    "±": "+-",
    "≈": "~",
    "≤": "<=",
    "≥": ">=",
    "×": "x",
    "·": "-",
    "–": "-",
    "−": "-",
    "—": "-",
    "…": "...",
    "→": "->",
    "Δ": "d",
    "√": "sqrt",
    "²": "^2",
    "°": " deg",
    "µ": "u",
    "†": "(d)",
    "‡": "(dd)",
    "§": "(s)",
}
"""What stands for a character of ours where the encoding lacks it; any other becomes an escape such as \\u4e2d."""

HANDLER = "contrast-sweep-forms"
STDERR = 2


def prepare_streams() -> None:
    """Let no character and no closed stream end this command. Every `main` calls it first.

    `PYTHONIOENCODING=ascii`, a Latin-1 terminal, or a file name that is not UTF-8 would raise UnicodeEncodeError. With
    `>&-`, Python has no `sys.stdout` at all, and the next file that is opened would take its place.
    """
    codecs.register_error(HANDLER, ascii_form)
    if None in (sys.stdin, sys.stdout, sys.stderr):
        while (descriptor := os.open(os.devnull, os.O_RDWR)) <= STDERR:
            os.set_inheritable(descriptor, True)
        os.close(descriptor)
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: PTH123, SIM115 - as long as the process
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=HANDLER)


def ascii_form(error: UnicodeError) -> tuple[str, int]:
    """An error handler of `codecs`: the characters that cannot be encoded, in ASCII."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start : error.end]
    forms = (ASCII_FORMS.get(char) or char.encode("ascii", "backslashreplace").decode() for char in lacking)
    return "".join(forms), error.end
