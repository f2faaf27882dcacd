"""Checkpoints of a trial: what a resume needs to go on as if nothing had happened.

    <workdir>/last.pt        the newest; replaced by rename
    <workdir>/previous.pt    the one before, read when last.pt is damaged; gone once the trial is finished
    <workdir>/best.pt        the weights with the best val/miou; a state dict

The data order, the augmentation, dropout and the contrast sampler draw from streams named by the step
(trainer/seeding.py), and the learning rate is a function of it: the step number is all of their state.
"""

from __future__ import annotations

import io
import json
import os
import pickle
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from trainer.config import RESULT_VERSION, TrainConfig, keys_outside_identity

__all__ = ["Checkpoint", "Checkpoints", "fingerprint"]


@dataclass(kw_only=True, slots=True)
class Checkpoint:
    """The state of a trial after `step` optimiser steps."""

    config: str
    """`fingerprint` of the trial's config."""
    step: int
    seconds: float
    """Training time so far, over all attempts."""
    best_miou: float
    """Best val/miou so far; -1 before the first evaluation."""
    metrics: dict[str, float] = field(default_factory=dict)
    """Last value of each `val/...` and `contrast/...` metric."""
    model: Mapping[str, Tensor]
    optimizer: Mapping[str, Any] | None = None
    """None once the last step is done: only weights and average are needed then."""
    contrast: Mapping[str, Tensor] | None = None
    """The bank; None for a baseline, and once the last step is done."""
    average: Mapping[str, Tensor] | None = None
    """The moving average of the weights, for a trial that keeps one."""
    scaler: Mapping[str, Any] | None = None
    """The scale of the loss at float16 precision."""


def fingerprint(config: TrainConfig) -> str:
    """Return canonical JSON of all that decides the result; where data and weights lie and limits are left out."""
    values = asdict(config.normalised())
    for key in keys_outside_identity(TrainConfig):
        *parents, name = key.split(".")
        owner = values
        for parent in parents:
            owner = owner[parent]
        del owner[name]
    return json.dumps({"result_version": RESULT_VERSION, **without_unset(values)}, sort_keys=True)


def without_unset(values: Mapping[str, Any]) -> dict[str, Any]:
    """`values` without knobs that are not set: one added later keeps the checkpoints of earlier trials readable."""
    return {
        name: without_unset(value) if isinstance(value, dict) else value
        for name, value in values.items()
        if value is not None
    }


class Checkpoints:
    """The checkpoint files of one trial."""

    def __init__(self, workdir: Path) -> None:
        self.last = workdir / "last.pt"
        self.previous = workdir / "previous.pt"
        self.best = workdir / "best.pt"

    def save(self, checkpoint: Checkpoint) -> None:
        """Write last.pt and keep the one before as previous.pt; a crash at any moment leaves one of them whole."""
        written = write({item.name: getattr(checkpoint, item.name) for item in fields(checkpoint)}, self.last)
        if self.last.exists():
            self.last.replace(self.previous)
        written.replace(self.last)
        sync_folder(self.last.parent)

    def save_best(self, model: Mapping[str, Tensor]) -> None:
        """Write best.pt: the weights alone."""
        write(dict(model), self.best).replace(self.best)
        sync_folder(self.best.parent)

    def finish(self, checkpoint: Checkpoint) -> None:
        """Write last.pt of a finished trial; previous.pt has served."""
        self.save(checkpoint)
        self.previous.unlink(missing_ok=True)

    def load(self, config: TrainConfig) -> Checkpoint | None:
        """Return the newest whole checkpoint of this very config, or None to start afresh.

        Warns about a damaged file and deletes it, then tries the one before. A checkpoint of another config, or of
        another RESULT_VERSION, is passed over.
        """
        wanted = fingerprint(config)
        return next((checkpoint for checkpoint in self.whole() if checkpoint.config == wanted), None)

    def newest(self) -> Checkpoint | None:
        """Return the newest whole checkpoint, whatever its config; None when there is none."""
        return next(self.whole(), None)

    def whole(self) -> Iterator[Checkpoint]:
        """The whole checkpoints, the newest first; damaged ones are deleted."""
        for path in (self.last, self.previous):
            if not path.exists():
                continue
            checkpoint = read(path)
            if checkpoint is None:
                path.unlink()  # else the next save would push a whole previous.pt out for it
            else:
                yield checkpoint


def write(values: dict[str, Any], path: Path) -> Path:
    """Save `values` beside `path`, flushed to the disk; return the temporary file, to be renamed to `path`."""
    temporary = path.with_name(f"{path.name}.partial")
    with temporary.open("wb") as file:
        torch.save(values, file)
        file.flush()
        os.fsync(file.fileno())
    return temporary


def sync_folder(folder: Path) -> None:
    """Flush the renames in `folder` to the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read(path: Path) -> Checkpoint | None:
    """Read a checkpoint; None, with a warning, when the file is damaged. A disk that fails raises OSError."""
    content = io.BytesIO(path.read_bytes())
    try:
        return Checkpoint(**torch.load(content, map_location="cpu", weights_only=True))
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError, TypeError, ValueError, LookupError) as error:
        warnings.warn(f"{path}: damaged checkpoint passed over ({type(error).__name__})", stacklevel=3)
        return None
