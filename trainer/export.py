"""Export: the network of a trained trial as it is deployed, without projection head, bank and training state.

`python -m trainer.export runs/trials/<trial_id> --out model.pt`, and then

>>> network = load_inference("model.pt")
>>> logits_BCHW = network(image_B3HW).logits_BCHW  # RGB in 0..1; logits at the size of the image
"""

from __future__ import annotations

import argparse
import json
import pickle
import sys
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from trainer.build import build_segmentor
from trainer.checkpoint import Checkpoints
from trainer.config import ContrastConfig, ModelConfig
from trainer.errors import TrainerError
from trainer.models.segmentor import Segmentor

__all__ = ["export_inference", "load_inference", "main"]

PROJECTION = "projection."


def export_inference(workdir: Path, out: Path, *, best: bool = False) -> None:
    """Write the last weights of the trial in `workdir`, or those that were best on val, to `out`.

    The projection head and the bank serve training only and stay behind (paper, section 3.3), so the exported network
    costs exactly what the baseline costs. A trial that keeps a moving average is exported as it was evaluated. Raises
    TrainerError when there is no checkpoint.
    """
    found = Checkpoints(workdir).newest()
    if found is None:
        raise TrainerError(f"{workdir}: no checkpoint (last.pt); give the folder of a trial that has been trained")
    weights = found.model if found.average is None else found.average
    if best:
        weights = torch.load(workdir / "best.pt", map_location="cpu", weights_only=True)
    state = {name: value for name, value in weights.items() if not name.startswith(PROJECTION)}
    model = json.loads(found.config)["model"]
    classes = count_classes(state)
    out.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"model": model, "classes": classes, "weights": state}, out)


def count_classes(state: dict[str, Tensor]) -> int:
    """Number of classes: the width of the classifiers, which alone of a head's convolutions have a bias."""
    widths = {
        value.shape[0]
        for name, value in state.items()
        if name.startswith("head.") and value.ndim == 4 and name.removesuffix("weight") + "bias" in state
    }
    (classes,) = widths
    return int(classes)


def load_inference(path: Path | str) -> Segmentor:
    """The network in `path`, in evaluation mode on the CPU. Raises TrainerError for a file of another kind."""
    try:
        content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        config = ModelConfig(**{**content["model"], "weights": "none"})
        network = build_segmentor(config, ContrastConfig(source="none"), classes=content["classes"], seed=0)
        network.load_state_dict(content["weights"])
    except (OSError, LookupError, TypeError, ValueError, RuntimeError, pickle.UnpicklingError) as error:
        raise TrainerError(
            f"{path}: no exported network ({type(error).__name__}); write one with trainer.export"
        ) from error
    return network.eval()


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m trainer.export", description="Write a trial's network for use.")
    parser.add_argument("workdir", type=Path, help="folder of the trial: runs/trials/<trial_id>")
    parser.add_argument("--out", type=Path, required=True, help="file to write")
    parser.add_argument("--best", action="store_true", help="the weights with the best val mIoU instead of the last")
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
