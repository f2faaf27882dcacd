"""The artifacts of an ended trial in MLflow: configuration, pictures, figures per class, the traceback, a model."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from orchestrator.errors import DamagedError, StoreError
from orchestrator.machine.own_folder import temporary_folder
from orchestrator.store.attempt_record import AttemptRecord
from orchestrator.store.image_counts import PICTURE_FOLDER, read_pictures
from orchestrator.store.run_directory import RunDirectory
from orchestrator.store.sweep_record import SweepRecord
from orchestrator.tracking.mlflow_store import Server
from orchestrator.tracking.sweep_run import as_json
from orchestrator.tracking.trial_run import class_table
from orchestrator.workload.loading import WorkloadError, WorkloadSource, load, source_of
from orchestrator.workload.metric import class_families

__all__ = ["attach", "log_model"]

TABLES_LOGGED = "mlflow.loggedArtifacts"
CONFIG = "config.json"
"""The whole canonical configuration of a trial."""


def attach(
    server: Server,
    run_id: str,
    record: AttemptRecord,
    *,
    sweep: SweepRecord,
    directory: RunDirectory,
    config: Mapping[str, Any],
) -> None:
    """Write all but the model. Raises TrackingError and StoreError."""
    server.write_text(run_id, CONFIG, as_json(config))
    with suppress(DamagedError), temporary_folder("pictures") as folder:  # `verify` names a damaged file
        for name, picture in read_pictures(directory, record).items():
            (folder / name).write_bytes(picture)
            server.write_file(run_id, folder / name, PICTURE_FOLDER)
    shown = []
    for family in class_families(sweep.declared_metrics):
        if (table := class_table(family, record.metrics)) is not None:
            name = f"per_class_{family.file_stem}.json"
            server.write_text(run_id, name, json.dumps(table, ensure_ascii=False))
            shown.append({"path": name, "type": "table"})
    if shown:
        server.log(run_id, tags={TABLES_LOGGED: json.dumps(shown)})
    if record.error is not None and record.error.traceback:
        server.write_text(run_id, "failure.txt", record.error.traceback)


def log_model(
    server: Server,
    run_id: str,
    trial_id: str,
    *,
    sweep: SweepRecord,
    directory: RunDirectory,
    source: WorkloadSource | None,
) -> str:
    """Log the trial's model, which `source` exports; returns the model's address. Raises TrackingError and StoreError.

    Without `source` it is the workload that this process knows by the name in the plan.
    """
    try:
        workload = load(source or source_of(sweep.workload))
    except WorkloadError as error:
        raise StoreError(f"{sweep.name}: no model of trial {trial_id}: {error}") from error
    with server.in_one_line():
        from orchestrator.tracking import mlflow_models  # imports torch

        return mlflow_models.log_model(server.uri, run_id, directory, trial_id, sweep.models, workload)
