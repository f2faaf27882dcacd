"""The address of MLflow's tracking store, and those of its pages."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import quote, urlencode

from orchestrator.redaction import without_password

__all__ = ["SQLITE", "UI_PORT", "database_file", "is_own_file", "runs_page", "sweep_link", "tracking_uri_of"]

SQLITE = "sqlite:///"
UI_PORT = 5000
"""Where `mlflow ui` serves unless told otherwise."""


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


def runs_page(experiment: str, **query: str) -> str:
    """Path of MLflow's list of the runs of an experiment, by its id.

    `query`: `viewStateShareKey` opens a saved view, `searchFilter` lists some of the runs only. MLflow 3.17 opens an
    experiment at its pages for language models unless the path says otherwise.
    """
    return (
        f"#/experiments/{experiment}/runs?{urlencode({'workflowType': 'machine_learning', **query}, quote_via=quote)}"
    )


def sweep_link(uri: str, page: str) -> str | None:
    """Address of `page` of the store at `uri`; of a database on this machine, the one at which `mlflow ui` serves it.

    None for a store whose pages have no address that we know, such as a database server.
    """
    if uri.startswith(("http://", "https://")):
        return f"{without_password(uri).rstrip('/')}/{page}"
    return f"http://127.0.0.1:{UI_PORT}/{page}" if uri.startswith(SQLITE) else None
