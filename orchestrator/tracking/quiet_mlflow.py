"""MLflow, told to be quiet before it is imported; beside `mlflow_models` the only module that imports it."""

from __future__ import annotations

import logging
import os
from pathlib import Path

QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",  # a sweep connects to its tracking server only
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",  # a second `create` after a lost answer makes a second run; see `retries`
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",  # stdout belongs to the sweep, as JSON lines with --json
}
for name, value in QUIET.items():
    os.environ.setdefault(name, value)

import mlflow  # noqa: E402 - reads the environment at import
import mlflow.store.db.utils  # noqa: E402
from mlflow import MlflowClient  # noqa: E402
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, Run, RunTag  # noqa: E402
from mlflow.exceptions import MlflowException  # noqa: E402
from mlflow.utils.mlflow_tags import MLFLOW_DATASET_CONTEXT  # noqa: E402

__all__ = [
    "MIGRATIONS",
    "MLFLOW_DATASET_CONTEXT",
    "Dataset",
    "DatasetInput",
    "InputTag",
    "Metric",
    "MlflowClient",
    "MlflowException",
    "Param",
    "Run",
    "RunTag",
]

MIGRATIONS = Path(mlflow.__file__).parent / "store" / "db_migrations" / "versions"
"""Folder with a file for each version of a database's schema that this MLflow knows."""

for noisy in ("mlflow", "alembic", "urllib3"):  # after the import, which sets these levels
    logging.getLogger(noisy).setLevel(logging.CRITICAL)  # a traceback for each locked database is not for users
mlflow.store.db.utils.MAX_RETRY_COUNT = 1  # a file that is no database took ten silent tries and 100 seconds
