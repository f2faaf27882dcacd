"""Exceptions in one line."""

from __future__ import annotations

__all__ = ["described", "message_of"]


def message_of(error: BaseException) -> str:
    """The message of an exception in one line; that of a SyntaxError without its place. May be empty."""
    text = error.msg if isinstance(error, SyntaxError) else str(error)
    return " ".join(str(text).split())


def described(error: BaseException) -> str:
    """`ZeroDivisionError: division by zero`; its name alone if it has no message."""
    text = message_of(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
