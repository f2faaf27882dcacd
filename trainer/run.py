"""Train one trial: `train()` is the loop, from the config to the figures of the table."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from trainer.checkpoint import Checkpoints
from trainer.config import Runtime, TrainConfig, setting
from trainer.data import open_source
from trainer.data.batches import TrainBatches
from trainer.errors import DivergedError, TrainerError
from trainer.lock import exclusive
from trainer.pictures import PICTURE_FOLDER
from trainer.step import TrainStep
from trainer.trial import Trial

__all__ = ["Progress", "TrainResult", "train"]

Progress = Callable[[int, dict[str, float]], None]
"""Called with the number of steps taken and the metrics measured there."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainResult:
    """The figures of a finished trial."""

    metrics: dict[str, float]
    """`final/...` of the last weights on the test split; `val/...`; last `contrast/...`; `cost/...`."""
    pictures: tuple[Path, ...] = ()
    """Qualitative sheet, confusion matrix and embedding of the test split: PNG files in `workdir`/pictures."""


def train(config: TrainConfig, runtime: Runtime, workdir: Path, progress: Progress) -> TrainResult:
    """Train the trial `config` in `workdir`, going on from its checkpoint where there is one.

    An interrupted and resumed trial ends with the bits of one that ran through (on a CPU, with equal `threads`).
    The reported figures are those of the last weights on `data.test_split`; the best on `data.val_split` is
    given as `val/best_miou` and decides nothing.

    Raises DataError, WeightsError, DivergedError, or TrainerError (no such device, or it lacks the precision; class
    weights that do not fit the data; another process at work in `workdir`), ValueError for a backbone that cannot
    be built, and whatever `progress` raises.
    """
    config = config.normalised()
    device = find_device(runtime.device)
    torch.set_num_threads(runtime.threads)
    workdir.mkdir(parents=True, exist_ok=True)
    certain: bool = setting(config.compute, "deterministic")
    with exclusive(workdir / "lock"), private_chance(device), deterministic(certain):
        source = open_source(config.data)
        trial = Trial.start(config, source, device)
        checkpoints = Checkpoints(workdir)
        if (found := checkpoints.load(config)) is not None:
            trial.restore(found)
        run_steps(trial, runtime, checkpoints, progress)
        metrics = trial.figures()
        return TrainResult(metrics=metrics, pictures=trial.draw(workdir / PICTURE_FOLDER))


def run_steps(trial: Trial, runtime: Runtime, checkpoints: Checkpoints, progress: Progress) -> None:
    """Take the steps that are left; log, evaluate and save as they fall due, and always after the last."""
    config, steps = trial.config, trial.config.schedule.steps
    take_step = TrainStep(config, trial.model, trial.contrast, trial.optimizer, trial.device, trial.scaler)
    batches = TrainBatches(
        trial.source,
        config.data,
        batch_size=config.schedule.batch_size,
        seed=config.seed,
        loader_workers=runtime.loader_workers,
    )
    first = trial.step
    trial.model.train()
    trial.resume_clock()
    for step, batch in enumerate(batches.iterate(first, steps - first), start=first):
        measured = take_step(batch, step)
        trial.took(step)
        log, validate, save = (
            trial.step % every == 0 or trial.step == steps
            for every in (runtime.log_every_steps, config.schedule.eval_every_steps, runtime.checkpoint_every_steps)
        )
        if not (log or validate or save):
            continue
        trial.stop_clock()
        require_finite(measured["train/loss"], trial)
        if log:
            progress(trial.step, trial.describe(measured))
        if validate:
            progress(trial.step, trial.validate(checkpoints))
        if trial.step == steps:
            checkpoints.finish(trial.checkpoint())
        elif save:
            checkpoints.save(trial.checkpoint())
        trial.resume_clock()


def require_finite(loss: Tensor, trial: Trial) -> None:
    """Raise DivergedError, naming the step, unless the loss is a number."""
    if not math.isfinite(value := float(loss)):
        contrast = "" if trial.contrast is None else ", lower contrast.weight or raise contrast.temperature"
        rate = trial.config.optim.lr
        raise DivergedError(f"step {trial.step}: the loss is {value}; lower optim.lr ({rate}){contrast}")


def find_device(name: str) -> torch.device:
    """Return the device of `runtime.device`. Raises TrainerError for one this machine lacks."""
    if name == "cpu" or (name == "auto" and not torch.cuda.is_available()):
        return torch.device("cpu")
    if not torch.cuda.is_available():
        raise TrainerError(f"runtime.device: {name!r}, but torch sees no CUDA device; use auto or cpu")
    return torch.device("cuda", torch.cuda.current_device())


@contextmanager
def private_chance(device: torch.device) -> Iterator[None]:
    """Put torch's global generators back after the body: dropout draws from them, seeded at each step."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        yield


@contextmanager
def deterministic(wanted: bool) -> Iterator[None]:
    """Let torch use deterministic algorithms only, in the body; it raises RuntimeError for an operation without one."""
    if not wanted:
        yield
        return
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read when cuBLAS starts
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before)
