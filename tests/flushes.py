"""Databases of MLflow that wait for no disk: `flush_never` listens in the process of the tests (tests/conftest.py)."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress

__all__ = ["flush_never", "flushing"]


def flush_never(connection: object, _record: object) -> None:
    """Listens to new connections of SQLAlchemy."""
    if isinstance(connection, sqlite3.Connection):
        with suppress(sqlite3.Error):  # a damaged database, which a test is about
            connection.execute("PRAGMA synchronous = OFF")


@contextmanager
def flushing() -> Iterator[None]:
    """In the body, databases are opened as in the processes of users."""
    from sqlalchemy import event
    from sqlalchemy.engine import Engine

    listened = event.contains(Engine, "connect", flush_never)
    if listened:
        event.remove(Engine, "connect", flush_never)
    try:
        yield
    finally:
        if listened:
            event.listen(Engine, "connect", flush_never)
