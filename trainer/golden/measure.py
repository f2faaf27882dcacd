"""Trains tiny trials and writes their figures; run as a script, with the version of `trainer` that is on the path.

    PYTHONPATH=TREE python -P measure.py trials.json figures.json FOLDER

It imports nothing of `trainer.golden`, which other versions may lack. The trials are trained below FOLDER.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
import warnings
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

import trainer
from trainer.checkpoint import Checkpoints
from trainer.config import Runtime, TrainConfig
from trainer.run import train

__all__ = ["configured", "main"]

TIMED = ("cost/", "system/")
"""Metrics that differ between runs of the same code, except for the number of parameters."""


class CutShortError(Exception):
    """Stops a trial that is to be resumed."""


def main(trials_path: str, figures_path: str, folder: str) -> None:
    """Train the trials of the JSON file `trials_path`; write `{package, figures: {name: figures or error}}`."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    trials = json.loads(Path(trials_path).read_text(encoding="utf-8"))
    figures = {name: measure(trial, Path(folder) / str(number)) for number, (name, trial) in enumerate(trials.items())}
    found = {"package": str(Path(trainer.__file__).parent), "figures": figures}
    Path(figures_path).write_text(json.dumps(found), encoding="utf-8")


def measure(trial: Mapping[str, Any], workdir: Path) -> dict[str, str]:
    """The figures of one trial as exact texts: `{"train/loss at step 2": "0.693...", "weights": digest}`.

    `{"error": ...}` when this version cannot run it.
    """
    found: dict[str, str] = {}

    def progress(step: int, metrics: Mapping[str, float]) -> None:
        exact = {f"{key} at step {step}": repr(float(value)) for key, value in metrics.items() if counts(key)}
        found.update({key: value for key, value in exact.items() if key not in found})
        if step == trial["stopped_at"]:
            raise CutShortError

    runtime = Runtime(device="cpu", ranks=trial["ranks"], log_every_steps=1, checkpoint_every_steps=2)
    try:
        config = configured(TrainConfig(), trial["settings"])
        if trial["stopped_at"]:
            try:
                train(config, runtime, workdir, progress)
            except CutShortError:
                trial = {**trial, "stopped_at": None}
        result = train(config, runtime, workdir, progress)
        last = Checkpoints(workdir).newest()
        assert last is not None  # noqa: S101 - the trial is finished
        weights = {"model": last.model, "average": last.average or {}}
    except Exception as error:  # another version may fail in any way; that is a figure, too
        return {"error": f"{type(error).__name__}: {error}"}
    finally:
        shutil.rmtree(workdir, ignore_errors=True)
    final = {key: repr(float(value)) for key, value in result.metrics.items() if counts(key)}
    return {**found, **final, "weights": digest_of(weights)}


def configured(block: Any, settings: Mapping[str, Any]) -> Any:
    """`block` with values by dotted key. Raises AttributeError, TypeError or ValueError for what it does not know."""
    own: dict[str, Any] = {}
    below: dict[str, dict[str, Any]] = {}
    for key, value in settings.items():
        name, _, rest = key.partition(".")
        if rest:
            below.setdefault(name, {})[rest] = value
        else:
            own[name] = tuple(value) if isinstance(value, list) else value
    return replace(block, **own, **{name: configured(getattr(block, name), part) for name, part in below.items()})


def counts(metric: str) -> bool:
    """Whether a metric is the same in every run of the same code."""
    return not metric.startswith(TIMED) or "parameters" in metric


def digest_of(states: Mapping[str, Mapping[str, torch.Tensor]]) -> str:
    """SHA-256 of names, types, shapes and bytes of all tensors."""
    total = hashlib.sha256()
    for part, tensors in states.items():
        for name, tensor in tensors.items():
            total.update(f"{part} {name} {tensor.dtype} {tuple(tensor.shape)}".encode())
            total.update(tensor.detach().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return total.hexdigest()


if __name__ == "__main__":
    main(*sys.argv[1:])
