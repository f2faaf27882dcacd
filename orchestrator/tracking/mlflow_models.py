"""Logs the model of a finished trial, as its workload exports it, with signature and input example.

>>> network = mlflow.pytorch.load_model("models:/<model id>")
>>> logits_BCHW = network(image_B3HW)  # of the trainer of this project: RGB in 0..1; logits at the size of the image
"""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

import mlflow
import torch
from mlflow import pytorch as mlflow_pytorch
from mlflow.models import infer_signature

from orchestrator.errors import StoreError
from orchestrator.store.checkpoint_sync import fetch_checkpoints
from orchestrator.store.keys import WORK
from orchestrator.store.run_directory import RunDirectory
from orchestrator.store.work_folder import WorkFolder
from orchestrator.workload.exported_model import ExportedModel
from orchestrator.workload.loaded import LoadedWorkload

__all__ = ["exported_model", "log_model"]


def exported_model(workload: LoadedWorkload, folder: Path, kind: str) -> ExportedModel:
    """The model of the trial in `folder` with its `best` or `last` weights.

    Raises StoreError when there is no such checkpoint, or when the workload exports no models.
    """
    if workload.extras.export is None:
        raise StoreError(f"{folder}: the workload {workload.name} exports no models; give its extras an `export`")
    try:
        return workload.extras.export(folder, kind)
    except ValueError as error:
        cause = str(error).removeprefix(f"{folder}: ")
        raise StoreError(f"{folder}: no {kind} checkpoint for a model ({cause})") from error


def fetched_checkpoints(workload: LoadedWorkload, directory: RunDirectory, trial_id: str) -> Path:
    """The folder in which a trial worked, with what an object store has of it. Raises StoreError."""
    folder = directory.trial_folder(trial_id)
    if workload.is_built_in:
        fetch_checkpoints(directory, trial_id, folder)
        return folder
    WorkFolder(directory, trial_id, folder / WORK).fetch()
    return folder / WORK


def log_model(
    uri: str, run_id: str, directory: RunDirectory, trial_id: str, kind: str, workload: LoadedWorkload
) -> str:
    """Log the `best` or `last` model of a trial to its run; returns the model's address, `models:/...`.

    Raises StoreError, and whatever MLflow raises.
    """
    folder = fetched_checkpoints(workload, directory, trial_id)
    model = exported_model(workload, folder, kind)
    with torch.inference_mode():
        predicted = model.network(torch.from_numpy(model.example))
    mlflow.set_tracking_uri(uri)
    with mlflow.start_run(run_id=run_id):
        logged = mlflow_pytorch.log_model(
            model.network,
            name="model",
            signature=infer_signature(model.example, predicted.numpy()),
            input_example=model.example,
            pip_requirements=[f"{name}=={version(name)}" for name in model.requirements],
        )
    return str(logged.model_uri)
