"""Train one trial: `train()` is the loop, from the config to the figures of the table."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from trainer.checkpoint import Checkpoints
from trainer.config import Runtime, TrainConfig, setting
from trainer.data import open_source
from trainer.data.loading.batches import TrainBatches
from trainer.distributed import process_group, rank, rank_0_first, rank_device, world_size
from trainer.errors import DivergedError, TrainerError
from trainer.launch import Progress, RankInfo, run_ranks
from trainer.lock import exclusive
from trainer.pictures import PICTURE_FOLDER
from trainer.step import TrainStep
from trainer.training_state import TrainingState

__all__ = ["Progress", "TrainResult", "train", "train_rank"]


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainResult:
    """The figures of a finished state."""

    metrics: dict[str, float]
    """`final/...` of the last weights on the test split; `val/...`; last `contrast/...`; `cost/...`."""
    pictures: tuple[Path, ...] = ()
    """Qualitative sheet, confusion matrix and embedding of the test split: PNG files in `workdir`/pictures."""


def train(config: TrainConfig, runtime: Runtime, workdir: Path, progress: Progress) -> TrainResult:
    """Train the trial `config` in `workdir`, going on from its checkpoint where there is one.

    An interrupted and resumed trial ends with the bits of one that ran through (on a CPU, with equal `threads`, and at
    most two `ranks`: of more, sums may be taken in another order). A checkpoint suits any number of ranks.
    The reported figures are those of the last weights on `data.test_split`; the best on `data.val_split` is
    given as `val/best_miou` and decides nothing.

    Several `runtime.ranks` are started here as processes of this machine, and have ended when this returns or raises.
    `progress` is called in this process in any case.

    Raises DataError, WeightsError, DivergedError, RankLostError, or TrainerError (no such device, or it lacks the
    precision; class weights that do not fit the data; a batch that does not split over the ranks; another process at
    work in `workdir`), ValueError for a backbone that cannot be built, and whatever `progress` raises.
    """
    config = config.normalised()
    if runtime.ranks == 1:
        return train_here(config, runtime, workdir, progress, rank_device(runtime.device))
    check_ranks(config, runtime.ranks)
    result: TrainResult = run_ranks(partial(train_rank, config, runtime, workdir), runtime.ranks, progress)
    return result


def check_ranks(config: TrainConfig, ranks: int) -> None:
    """Raise TrainerError unless the trial can be trained by so many ranks."""
    size, portions = config.schedule.batch_size, setting(config.schedule, "portions")
    if size % (ranks * portions) != 0:
        parts = f"{ranks} ranks" if portions == 1 else f"{ranks} ranks of {portions} portions"
        raise TrainerError(f"schedule.batch_size: {size} images do not split evenly over {parts} (runtime.ranks)")
    if setting(config.compute, "compile"):
        raise TrainerError("compute.compile: the norms of several ranks cannot be compiled; use runtime.ranks 1")


def train_rank(
    config: TrainConfig, runtime: Runtime, workdir: Path, info: RankInfo, progress: Progress
) -> TrainResult | None:
    """Train as one of several ranks, joined to the others; rank 0 alone has a result, and writes files."""
    device = rank_device(runtime.device, info.rank)
    with process_group(info, device):
        result = train_here(config, runtime, workdir, progress, device)
    return result if info.rank == 0 else None


def train_here(
    config: TrainConfig, runtime: Runtime, workdir: Path, progress: Progress, device: torch.device
) -> TrainResult:
    """Train in this process: `config` is normalised, and other ranks, if there are any, are joined."""
    torch.set_num_threads(runtime.threads)
    workdir.mkdir(parents=True, exist_ok=True)
    certain: bool = setting(config.compute, "deterministic")
    alone = exclusive(workdir / "lock") if rank() == 0 else nullcontext()
    with alone, isolated_rng(device), deterministic(certain):
        source = open_source(config.data)
        state = TrainingState.start(config, source, device)
        checkpoints = Checkpoints(workdir)
        with rank_0_first():  # under the lock, and done with damaged files when the others look
            found = checkpoints.load(config)
        if found is not None:
            state.restore(found)
        run_steps(state, runtime, checkpoints, progress)
        metrics = state.figures()
        pictures = state.draw(workdir / PICTURE_FOLDER) if rank() == 0 else ()
        return TrainResult(metrics=metrics, pictures=pictures)


def run_steps(state: TrainingState, runtime: Runtime, checkpoints: Checkpoints, progress: Progress) -> None:
    """Take the steps that are left; log, evaluate and save as they fall due, and always after the last."""
    config, steps = state.config, state.config.schedule.steps
    take_step = TrainStep(config, state.model, state.contrast, state.optimizer, state.device, state.scaler)
    batches = TrainBatches(
        state.source,
        config.data,
        batch_size=config.schedule.batch_size,
        seed=config.seed,
        loader_workers=runtime.loader_workers,
        rank=rank(),
        ranks=world_size(),
    )
    first = state.step
    state.model.train()
    state.resume_clock()
    for step, batch in enumerate(batches.iterate(first, steps - first), start=first):
        measured = take_step(batch, step)
        state.took(step)
        log, validate, save = (
            state.step % every == 0 or state.step == steps
            for every in (runtime.log_every_steps, config.schedule.eval_every_steps, runtime.checkpoint_every_steps)
        )
        if not (log or validate or save):
            continue
        state.stop_clock()
        require_finite(measured["train/loss"], state)
        if log:
            progress(state.step, state.describe(measured))
        if validate:
            progress(state.step, state.validate(checkpoints))
        if rank() > 0:
            pass  # the first writes the files
        elif state.step == steps:
            checkpoints.finish(state.checkpoint())
        elif save:
            checkpoints.save(state.checkpoint())
        state.resume_clock()


def require_finite(loss: Tensor, state: TrainingState) -> None:
    """Raise DivergedError, naming the step, unless the loss is a number."""
    if not math.isfinite(value := float(loss)):
        contrast = "" if state.contrast is None else ", lower contrast.weight or raise contrast.temperature"
        rate = state.config.optim.lr
        raise DivergedError(f"step {state.step}: the loss is {value}; lower optim.lr ({rate}){contrast}")


@contextmanager
def isolated_rng(device: torch.device) -> Iterator[None]:
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
