"""The SQLite file that MLflow keeps runs in: created whole, with a write-ahead log where that works."""

from __future__ import annotations

import sqlite3
from contextlib import closing, suppress

from sqlalchemy import event  # what MLflow opens its databases with
from sqlalchemy.engine import Engine

from orchestrator.machine.atomic_file import publish
from orchestrator.machine.own_folder import remove_stale, temporary_folder
from orchestrator.store.lock import SHARED_MOUNTS, file_system
from orchestrator.tracking.quiet_mlflow import MlflowClient
from orchestrator.tracking.uri import SQLITE, database_file

__all__ = ["create_database", "spare_syncs", "sync_seldom", "use_write_ahead_log"]


def create_database(uri: str) -> None:
    """Create a missing SQLite database; the file gets its name once its schema is complete.

    MLflow cannot open a database whose creation, which takes seconds, was cut short by SIGKILL.
    """
    path = database_file(uri)
    if path is None or "?" in uri or path.exists() or not path.parent.is_dir():
        return
    remove_stale(path.parent)
    with temporary_folder(f".{path.name}", path.parent) as folder:
        whole = folder.resolve() / path.name
        MlflowClient(tracking_uri=f"{SQLITE}{whole}").search_experiments()
        publish(whole, path)  # unless another process was faster


def spare_syncs() -> None:
    """Let SQLite databases with a write-ahead log, opened from now on, wait for the disk only at its checkpoints.

    The default is to wait at each of the seven commits per trial. With a write-ahead log a power failure damages
    nothing: the last commits are missing, and the next sweep or `sync` delivers them from the run directory. This
    affects every SQLite database that the process opens through SQLAlchemy, so it suits a process that does nothing
    else.
    """
    if not event.contains(Engine, "connect", sync_seldom):
        event.listen(Engine, "connect", sync_seldom)


def sync_seldom(connection: object, _record: object) -> None:
    """Set up a new connection."""
    if isinstance(connection, sqlite3.Connection):
        with suppress(sqlite3.DatabaseError):  # whoever uses the database will see it
            if connection.execute("PRAGMA journal_mode").fetchone() == ("wal",):
                connection.execute("PRAGMA synchronous=NORMAL")


def use_write_ahead_log(uri: str) -> None:
    """Let readers (the UI) and the one writer of a SQLite database work at the same time, without lock errors.

    The log needs memory that processes share through a file. On a mount of several machines, and where that memory
    cannot be had, the database keeps a rollback journal: a reader and the writer then wait for each other.
    """
    path = database_file(uri)
    if path is None or file_system(str(path.parent)) in SHARED_MOUNTS:
        return
    try:
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("SELECT count(*) FROM sqlite_master")
    except sqlite3.OperationalError:
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA locking_mode=EXCLUSIVE")  # without it, SQLite needs that memory to leave the log
            connection.execute("PRAGMA journal_mode=DELETE")
            connection.execute("SELECT count(*) FROM sqlite_master")
