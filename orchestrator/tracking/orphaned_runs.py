"""Orphaned runs: runs in MLflow that say RUNNING although the driver of their sweep was killed."""

from __future__ import annotations

from orchestrator.store.lock import holder_of
from orchestrator.store.run_directory import RunDirectory
from orchestrator.tracking.mlflow_store import Server

__all__ = ["end_orphaned_runs"]


def end_orphaned_runs(server: Server, directory: RunDirectory, sweep: str, holder: str) -> None:
    """End the runs of a sweep that are RUNNING as KILLED, while nobody has locked the run directory since `holder`.

    Another driver ends or continues them itself. Only a status is written, so that the two cannot double a point.
    Raises TrackingError, StoreError.
    """
    for run in server.runs(f"tags.sweep = '{sweep}' AND attributes.status = 'RUNNING'"):
        if not holder or holder_of(directory.files) != holder:
            return
        server.end(run.run_id, "KILLED")
