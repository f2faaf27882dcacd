"""Logs the network of a finished trial as an MLflow model with signature and input example.

>>> network = mlflow.pytorch.load_model("models:/<model id>")
>>> logits_BCHW = network(image_B3HW)  # RGB in 0..1; logits at the size of the image

Axes: B batch, C classes, H W image.
"""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

import mlflow
import torch
from mlflow import pytorch as mlflow_pytorch
from mlflow.models import infer_signature
from torch import Tensor, nn

from orchestrator.errors import StoreError
from orchestrator.store.checkpoint_sync import fetch_checkpoints
from orchestrator.store.run_directory import RunDirectory
from trainer.errors import TrainerError
from trainer.export import inference_network

__all__ = ["Logits", "load_network", "log_model"]

REQUIREMENTS = ("torch", "torchvision", "timm", "numpy", "pillow")


class Logits(nn.Module):
    """A segmentation network that returns only its logits: one tensor in, one out, as model serving needs it."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, image_B3HW: Tensor) -> Tensor:
        """Logits of RGB images (values in 0..1) at the size of the images."""
        logits_BCHW: Tensor = self.network(image_B3HW).logits_BCHW
        return logits_BCHW


def load_network(folder: Path, kind: str) -> Logits:
    """The network of the trial in `folder` with its `best` or `last` weights, without parts that only training needs.

    Raises StoreError when there is no such checkpoint.
    """
    try:
        network, _ = inference_network(folder, best=kind == "best")
    except TrainerError as error:
        cause = str(error).removeprefix(f"{folder}: ")
        raise StoreError(f"{folder}: no {kind} checkpoint for a model ({cause})") from error
    return Logits(network).eval()


def log_model(uri: str, run_id: str, directory: RunDirectory, trial_id: str, kind: str, size: tuple[int, int]) -> str:
    """Log the `best` or `last` network of a trial to its run; returns the model's address, `models:/...`.

    `size`: height and width of the input example. The example has two images, so that the model accepts batches of any
    size. Raises StoreError, and whatever MLflow raises.
    """
    folder = directory.trial_folder(trial_id)
    fetch_checkpoints(directory, trial_id, folder)
    network = load_network(folder, kind)
    example_23HW = torch.rand(2, 3, *size, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        logits_2CHW = network(example_23HW)
    mlflow.set_tracking_uri(uri)
    with mlflow.start_run(run_id=run_id):
        logged = mlflow_pytorch.log_model(
            network,
            name="model",
            signature=infer_signature(example_23HW.numpy(), logits_2CHW.numpy()),
            input_example=example_23HW.numpy(),
            pip_requirements=[f"{name}=={version(name)}" for name in REQUIREMENTS],
        )
    return str(logged.model_uri)
