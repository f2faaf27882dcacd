"""Errors of the orchestrator; each message is one line: where, which key, what to do.

SweepError            exit code 2
├── SpecError         a specification that cannot be planned: file, line, key, remedy
├── StoreError        a record store that cannot be read or written
└── TrackingError     an MLflow store that cannot be used
    ├── AccessError   it is there, and does not let us in
    └── OutageError   it is not there at the moment, or in trouble
"""

from __future__ import annotations

from types import TracebackType
from typing import Self

__all__ = [
    "AccessError",
    "OutageError",
    "SpecError",
    "SpecErrorCollector",
    "StoreError",
    "SweepError",
    "TrackingError",
]


class SweepError(Exception):
    """Base of all; the command line prints the message without a traceback and exits with code 2."""


class SpecError(SweepError):
    """A wrong search space, recipe or `--set`; `messages` holds one line per mistake."""

    def __init__(self, *messages: str) -> None:
        super().__init__("\n".join(messages))
        self.messages = messages


class SpecErrorCollector:
    """Collects the SpecErrors of several steps, so that a user hears of all mistakes at once.

    errors = SpecErrorCollector()
    for row in rows:
        with errors:
            built.append(build(row))
    errors.raise_any()
    """

    def __init__(self) -> None:
        self.messages: list[str] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> bool:
        """Keep the messages of a SpecError and suppress it; let any other exception pass."""
        if isinstance(error, SpecError):
            self.messages.extend(error.messages)
            return True
        return False

    def raise_any(self) -> None:
        """Raise one SpecError with all messages, each once, in the order collected; nothing without any."""
        if self.messages:
            raise SpecError(*dict.fromkeys(self.messages))


class StoreError(SweepError):
    """The run directory cannot be read or written."""


class TrackingError(SweepError):
    """MLflow refuses the tracking store."""


class AccessError(TrackingError):
    """User or password are wrong, or may not do this; or nobody knows what kind of store this is."""


class OutageError(TrackingError):
    """The server is down, slow or in trouble; the same again later may well do."""
