"""Texts and exceptions in one line."""

from __future__ import annotations

__all__ = ["described", "in_one_line", "message_of"]


def in_one_line(text: object) -> str:
    """A text, or what an exception says, without line breaks and other repeated white space."""
    return " ".join(str(text).split())


def message_of(error: BaseException) -> str:
    """The message of an exception in one line; that of a SyntaxError without its place. May be empty."""
    return in_one_line(error.msg if isinstance(error, SyntaxError) else error)


def described(error: BaseException) -> str:
    """`ZeroDivisionError: division by zero`; its name alone if it has no message."""
    text = message_of(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
