"""Which MLflow store is meant."""

from __future__ import annotations

import os

__all__ = ["tracking_uri_of"]


def tracking_uri_of(given: str | None) -> str:
    """MLflow's store: as given, else the environment's, else a database in the current folder."""
    return given or os.environ.get("MLFLOW_TRACKING_URI") or "sqlite:///mlflow.db"
