"""Checkpoints of a trial, with all the state that a resume needs.

    <workdir>/last.pt        the newest; replaced by rename
    <workdir>/previous.pt    the one before, used if last.pt is damaged; removed when the trial is finished
    <workdir>/best.pt        the weights with the best val/miou; a state dict. Those of a finished trial are in last.pt

Each file has a digest of its content (trainer/archive_digest.py), which is checked before the file is used.

Data order, augmentation, dropout and contrast sampling use random streams named by the step (trainer/seeding.py), and
the learning rate is a function of the step, so the step number is their whole state.
"""

from __future__ import annotations

import errno
import io
import json
import os
import pickle
import warnings
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from orchestrator.machine.file_systems import flush_folder
from orchestrator.workload.fields import identity_values
from trainer.archive_digest import add_digest, verify_archive
from trainer.code_digest import codes_in, equal_codes
from trainer.config import RESULT_VERSION, TrainConfig

__all__ = ["Checkpoint", "Checkpoints", "fingerprint", "read_tensors"]


@dataclass(kw_only=True, slots=True)
class Checkpoint:
    """The state of a trial after `step` optimiser steps."""

    config: str
    """`fingerprint` of the trial's config."""
    code: str = ""
    """Digests of the code that took the steps, as `trainer.code_digest.joined` writes them."""
    step: int
    seconds: float
    """Training time over all attempts."""
    loader_seconds: float = 0.0
    """Part of it in which the training thread waited for batches; 0 in a checkpoint that does not say it."""
    best_miou: float
    """Best val/miou so far; -1 before the first evaluation."""
    metrics: dict[str, float] = field(default_factory=dict)
    """Last value of each `val/...` and `contrast/...` metric."""
    model: Mapping[str, Tensor]
    optimizer: Mapping[str, Any] | None = None
    """None after the last step, when only weights and average are needed."""
    contrast: Mapping[str, Tensor] | None = None
    """The bank; None for a baseline and after the last step."""
    average: Mapping[str, Tensor] | None = None
    """The moving average of the weights, if the trial keeps one."""
    scaler: Mapping[str, Any] | None = None
    """State of the loss scaler at float16 precision."""
    best: Mapping[str, Tensor] | None = None
    """The weights with the best val/miou, after the last step; None in files of before, where best.pt has them."""


def fingerprint(config: TrainConfig) -> str:
    """Canonical JSON of everything that determines the result. The folder of the data and limits are left out."""
    return json.dumps({"result_version": RESULT_VERSION, **identity_values(config.normalised())}, sort_keys=True)


class Checkpoints:
    """The checkpoint files of one trial."""

    def __init__(self, workdir: Path, accepted_code: Collection[str] = ()) -> None:
        """Checkpoints of this code and of code proven equal are resumed, and those of `accepted_code`."""
        self.resumable_code = {*equal_codes(), *accepted_code}
        self.last = workdir / "last.pt"
        self.previous = workdir / "previous.pt"
        self.best = workdir / "best.pt"

    def save(self, checkpoint: Checkpoint) -> None:
        """Write last.pt and keep the one before as previous.pt; a crash at any moment leaves one of them intact."""
        written = write_partial({item.name: getattr(checkpoint, item.name) for item in fields(checkpoint)}, self.last)
        if self.last.exists():
            self.last.replace(self.previous)
        written.replace(self.last)
        flush_folder(self.last.parent)

    def save_best(self, model: Mapping[str, Tensor]) -> None:
        """Write best.pt: the weights only."""
        write_partial(dict(model), self.best).replace(self.best)
        flush_folder(self.best.parent)

    def finish(self, checkpoint: Checkpoint) -> None:
        """Write last.pt of a finished trial, with the best weights; remove previous.pt and best.pt.

        A damaged best.pt stays as it is. Equal weights are stored once.
        """
        with suppress(OSError, ValueError):
            best = read_tensors(self.best)
            equal = (item for item in (checkpoint.average, checkpoint.model) if item is not None and same(item, best))
            checkpoint = replace(checkpoint, best=next(equal, best))
        self.save(checkpoint)
        self.previous.unlink(missing_ok=True)
        if checkpoint.best is not None:
            self.best.unlink(missing_ok=True)

    def load(self, config: TrainConfig) -> Checkpoint | None:
        """The newest intact checkpoint of this config, or None to start from scratch.

        A damaged file is deleted with a warning. Checkpoints of another config, RESULT_VERSION or code are ignored.
        """
        wanted = fingerprint(config)
        return next((found for found in self.intact() if found.config == wanted and self.resumes(found)), None)

    def resumes(self, checkpoint: Checkpoint) -> bool:
        """Whether every step of `checkpoint` was taken by code that may be continued with this one."""
        return bool(checkpoint.code) and self.resumable_code.issuperset(codes_in(checkpoint.code))

    def newest(self) -> Checkpoint | None:
        """The newest intact checkpoint of any config, or None."""
        return next(self.intact(), None)

    def intact(self) -> Iterator[Checkpoint]:
        """The intact checkpoints, newest first; damaged ones are deleted."""
        for path in (self.last, self.previous):
            if not path.exists():
                continue
            checkpoint = read_checkpoint(path)
            if checkpoint is None:
                path.unlink()  # otherwise the next save would replace an intact previous.pt with it
            else:
                yield checkpoint


def same(weights: Mapping[str, Tensor], others: Mapping[str, Tensor]) -> bool:
    """Whether two state dicts are bit for bit the same."""
    return weights.keys() == others.keys() and all(
        torch.equal(weights[name].cpu(), other) and weights[name].dtype == other.dtype for name, other in others.items()
    )


def write_partial(values: dict[str, Any], path: Path) -> Path:
    """Save `values` to a temporary file beside `path`, flushed to disk; returns it, to be renamed to `path`."""
    temporary = path.with_name(f"{path.name}.partial")
    temporary.unlink(missing_ok=True)
    with temporary.open("x+b") as file:  # follows no link
        torch.save(values, file)
        add_digest(file)
    return temporary


def read_checkpoint(path: Path) -> Checkpoint | None:
    """Read a checkpoint; None with a warning if the file is damaged. Raises OSError for a failing disk."""
    try:
        content = read_tensors(path)
    except ValueError as error:
        warnings.warn(f"{path}: damaged checkpoint ignored ({error})", stacklevel=3)
        return None
    try:
        return Checkpoint(**content)
    except TypeError:
        warnings.warn(f"{path}: damaged checkpoint ignored (it holds something else)", stacklevel=3)
        return None


def read_tensors(path: Path) -> dict[str, Any]:
    """What `write_partial` saved. Raises ValueError for a damaged file, in a few words, and OSError."""
    if not path.is_file():
        if not path.exists():
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
        raise ValueError("not a file")
    content = io.BytesIO(path.read_bytes())
    verify_archive(content)
    content.seek(0)
    try:
        values = torch.load(content, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError, TypeError, LookupError, AttributeError) as error:
        raise ValueError(type(error).__name__) from error
    if not isinstance(values, dict):
        raise ValueError("it holds something else")
    return values
