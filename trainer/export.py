"""Exports the network of a trained trial for deployment, without what only training needs.

`python -m trainer.export runs/trials/<trial_id> --out model.pt`, and then

>>> network = load_inference("model.pt")
>>> logits_BCHW = network(image_B3HW).logits_BCHW  # RGB in 0..1; logits at the image size
"""

from __future__ import annotations

import argparse
import json
import pickle
import sys
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from orchestrator.machine.streams import prepare_streams
from orchestrator.workload.exported_model import ExportedModel
from trainer.build import build_segmentor
from trainer.checkpoint import Checkpoints, read_tensors
from trainer.config import ContrastConfig, ModelConfig
from trainer.errors import TrainerError
from trainer.models.segmentor import Segmentor

__all__ = ["Logits", "export_inference", "exported_model", "inference_network", "load_inference", "main"]

REQUIREMENTS = ("torch", "torchvision", "timm", "numpy", "pillow")
"""What a process needs to load an exported network and to run it."""


def inference_network(workdir: Path, *, best: bool = False) -> tuple[Segmentor, ModelConfig]:
    """The network of the trial in `workdir`, with its last or its best weights, and its config.

    It has no projection head, no bank and no auxiliary classifier, which only training needs (paper, section 3.3), so
    it costs exactly as much as the baseline. If the trial keeps a moving average, the weights are the averaged ones.
    In evaluation mode on the CPU. Raises TrainerError if there is no checkpoint.
    """
    checkpoints = Checkpoints(workdir)
    found = checkpoints.newest()
    if found is None:
        raise TrainerError(f"{workdir}: no checkpoint (last.pt); give the folder of a trained trial")
    weights = found.model if found.average is None else found.average
    if best:
        weights = read_best(checkpoints.best) if found.best is None else found.best
    config = ModelConfig(**without_plugins(json.loads(found.config)["model"], workdir))
    return build_network(config, weights), config


class Logits(nn.Module):
    """A segmentation network that returns only its logits: one tensor in, one out, as model serving needs it."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, image_B3HW: Tensor) -> Tensor:
        """Logits of RGB images (values in 0..1) at the size of the images."""
        logits_BCHW: Tensor = self.network(image_B3HW).logits_BCHW
        return logits_BCHW


def exported_model(workdir: Path, *, best: bool = False) -> ExportedModel:
    """The `inference_network` of a trial for MLflow, with an example of two images of its crop. Raises TrainerError."""
    network, _ = inference_network(workdir, best=best)
    found = Checkpoints(workdir).newest()
    if found is None:
        raise TrainerError(f"{workdir}: its checkpoint is gone; export it again")
    height, width = json.loads(found.config)["data"]["crop"]
    example_23HW = torch.rand(2, 3, height, width, generator=torch.Generator().manual_seed(0))
    return ExportedModel(network=Logits(network).eval(), example=example_23HW.numpy(), requirements=REQUIREMENTS)


def without_plugins(model: Mapping[str, Any], workdir: Path) -> Mapping[str, Any]:
    """The settings of a model. Raises TrainerError for one with a plugin's part, whose source a checkpoint lacks."""
    own = [model[name.removesuffix("_plugin")] for name in ("head_plugin", "backbone_plugin") if model.get(name)]
    if own:
        text = f"{' and '.join(map(repr, own))} of a plugin; load last.pt with code of your own"
        raise TrainerError(f"{workdir}: cannot export a network with {text}")
    return model


def read_best(path: Path) -> Mapping[str, Tensor]:
    """The weights in best.pt. Raises TrainerError."""
    try:
        return read_tensors(path)
    except (OSError, ValueError) as error:
        cause = (isinstance(error, OSError) and error.strerror) or f"damaged, {error}"
        raise TrainerError(
            f"{path.parent}: cannot read the best weights ({path.name}: {cause}); export the last ones"
        ) from error


def build_network(config: ModelConfig, state: Mapping[str, Tensor]) -> Segmentor:
    """The network with those of the weights `state` that it needs, in evaluation mode.

    Does not load pretrained weights. Files of earlier versions have auxiliary classifiers.
    """
    bare = replace(config, weights="none")
    network = build_segmentor(bare, ContrastConfig(source="none"), classes=count_classes(state), seed=0)
    network.drop_training_parts()
    network.load_state_dict(
        {name: value for name, value in state.items() if not name.startswith(network.training_prefixes)}
    )
    return network.eval()


def export_inference(workdir: Path, out: Path, *, best: bool = False) -> None:
    """Write the `inference_network` of the trial in `workdir` to `out`. Raises TrainerError."""
    network, config = inference_network(workdir, best=best)
    out.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"model": asdict(config), "weights": network.state_dict()}, out)


def count_classes(state: Mapping[str, Tensor]) -> int:
    """Number of classes: the outputs of the last convolution of the head's `classify`."""
    weights = [value for name, value in state.items() if name.startswith("head.classify.") and value.ndim == 4]
    return int(weights[-1].shape[0])


def load_inference(path: Path | str) -> Segmentor:
    """The exported network in `path`, in evaluation mode on the CPU. Raises TrainerError for any other file."""
    try:
        content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        return build_network(ModelConfig(**content["model"]), content["weights"])
    except (OSError, LookupError, TypeError, ValueError, RuntimeError, pickle.UnpicklingError) as error:
        raise TrainerError(
            f"{path}: not an exported network ({type(error).__name__}); write one with `python -m trainer.export`"
        ) from error


def main() -> int:
    """The command line."""
    prepare_streams()
    parser = argparse.ArgumentParser(prog="python -m trainer.export", description="Export the network of a trial.")
    parser.add_argument("workdir", type=Path, help="folder of the trial: runs/trials/<trial_id>")
    parser.add_argument("--out", type=Path, required=True, help="file to write")
    parser.add_argument("--best", action="store_true", help="export the weights with the best val mIoU, not the last")
    given = parser.parse_args()
    try:
        export_inference(given.workdir, given.out, best=given.best)
    except TrainerError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    sys.stdout.write(f"wrote {given.out} ({given.out.stat().st_size / 1e6:.1f} MB)\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
