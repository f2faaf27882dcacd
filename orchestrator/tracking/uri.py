"""The address of MLflow's tracking store."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["SQLITE", "database_file", "is_own_file", "tracking_uri_of"]

SQLITE = "sqlite:///"


def tracking_uri_of(given: str | None) -> str:
    """The tracking store to use: `given`, else MLFLOW_TRACKING_URI, else a database in the current folder."""
    return given or os.environ.get("MLFLOW_TRACKING_URI") or "sqlite:///mlflow.db"


def database_file(uri: str) -> Path | None:
    """The file of a SQLite database; None for a server."""
    return Path(uri.removeprefix(SQLITE).partition("?")[0]) if uri.startswith(SQLITE) else None


def is_own_file(uri: str) -> bool:
    """Whether the store is a SQLite database that this user can write, or create: then nobody can refuse access."""
    path = database_file(uri)
    if path is None:
        return False
    return os.access(path, os.R_OK | os.W_OK) if path.exists() else os.access(path.parent, os.W_OK | os.X_OK)
