"""Addresses of MLflow's tracking store, and how secrets are kept out of what is printed or stored."""

from __future__ import annotations

import os
import re
from pathlib import Path

__all__ = ["SECRETS", "database_file", "masked", "tracking_uri_of", "without_password"]

SECRETS = ("MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN")
"""Environment variables whose values are secret."""

SQLITE = "sqlite:///"
CREDENTIALS = re.compile(r"(?<=://)[^\s/?#'\"]*@")


def tracking_uri_of(given: str | None) -> str:
    """The tracking store to use: `given`, else MLFLOW_TRACKING_URI, else a database in the current folder."""
    return given or os.environ.get("MLFLOW_TRACKING_URI") or "sqlite:///mlflow.db"


def database_file(uri: str) -> Path | None:
    """The file of a SQLite database; None for a server."""
    return Path(uri.removeprefix(SQLITE).partition("?")[0]) if uri.startswith(SQLITE) else None


def without_password(uri: str) -> str:
    """`uri` without user name and password."""
    return CREDENTIALS.sub("", uri)


def masked(text: str) -> str:
    """`text` without credentials in addresses and without the secrets of the environment."""
    text = without_password(text)
    for name in SECRETS:
        if secret := os.environ.get(name):
            text = text.replace(secret, "***")
    return text
