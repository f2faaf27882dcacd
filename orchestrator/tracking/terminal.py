"""draws: whether output is for a person at a terminal, or for a program."""

from __future__ import annotations

from rich.console import Console

__all__ = ["draws"]


def draws(console: Console) -> bool:
    """Whether a console shows bold text and changing lines: a terminal that is not dumb. Others get plain lines."""
    return console.is_terminal and not console.is_dumb_terminal
