"""The address of MLflow's tracking store."""

from __future__ import annotations

import os

__all__ = ["tracking_uri_of"]


def tracking_uri_of(given: str | None) -> str:
    """The tracking store to use: `given`, else MLFLOW_TRACKING_URI, else a database in the current folder."""
    return given or os.environ.get("MLFLOW_TRACKING_URI") or "sqlite:///mlflow.db"
