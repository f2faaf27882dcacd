"""Errors of the orchestrator; each message is one line: where, which key, what to do.

SweepError            exit code 2
├── SpecError         a specification that cannot be planned: file, line, key, remedy
├── StoreError        a record store that cannot be read or written
└── TrackingError     an MLflow store that cannot be used
    ├── AccessError   it is there, and does not let us in
    └── OutageError   it is not there at the moment, or in trouble
"""

from __future__ import annotations

__all__ = ["AccessError", "OutageError", "SpecError", "StoreError", "SweepError", "TrackingError"]


class SweepError(Exception):
    """Base of all; the command line prints the message without a traceback and exits with code 2."""


class SpecError(SweepError):
    """A wrong search space, recipe or `--set`; `messages` holds one line per mistake."""

    def __init__(self, *messages: str) -> None:
        super().__init__("\n".join(messages))
        self.messages = messages


class StoreError(SweepError):
    """The run directory cannot be read or written."""


class TrackingError(SweepError):
    """MLflow refuses the tracking store."""


class AccessError(TrackingError):
    """User or password are wrong, or may not do this; or nobody knows what kind of store this is."""


class OutageError(TrackingError):
    """The server is down, slow or in trouble; the same again later may well do."""
