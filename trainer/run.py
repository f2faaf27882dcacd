"""`train()`: trains one trial, from the config to the reported figures."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import torch
from filelock import FileLock, Timeout
from torch import Tensor

from orchestrator.machine.file_systems import NO_LOCKS
from trainer.arithmetic import arithmetic
from trainer.checkpoint import Checkpoints
from trainer.config import Runtime, TrainConfig, require_compute_fits, setting
from trainer.data import open_source
from trainer.data.loading.batches import TrainBatches
from trainer.data.loading.loader import Loader
from trainer.distributed import process_group, rank, rank_0_first, rank_device, world_size
from trainer.errors import DivergedError, TrainerError
from trainer.gpu_memory import limited_memory
from trainer.launch import Progress, RankInfo, run_ranks
from trainer.pictures import PICTURE_FOLDER
from trainer.step import TrainStep
from trainer.training_state import TrainingState

__all__ = ["Progress", "TrainResult", "exclusive", "train", "train_rank"]

LOCK_POLL_SECONDS = 0.2


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainResult:
    """The results of a finished trial."""

    metrics: dict[str, float]
    """`final/...` of the last weights on the test split; `val/...`; last `contrast/...`; `cost/...`."""
    code: str = ""
    """Digests of the code that took the steps (`trainer.code_digest.joined`): one, unless the trial was resumed."""
    loader: str = ""
    """How the pixels got to the device, as `Loader` says it."""
    pictures: tuple[Path, ...] = ()
    """Qualitative sheet, confusion matrix and embedding of the test split: PNG files in `workdir`/pictures."""
    count_NCK: Tensor | None = field(default=None, compare=False, repr=False)
    """Correct, labelled and predicted pixels (K) of each test image (N) and class (C), int64."""
    class_names: tuple[str, ...] = ()
    """Of the C classes."""


def train(config: TrainConfig, runtime: Runtime, workdir: Path, progress: Progress) -> TrainResult:
    """Train the trial `config` in `workdir`, resuming from its checkpoint if there is one.

    On a CPU, a resumed trial gives bit-equal results to an uninterrupted one on the same machine with equal `threads`
    and `ranks`, up to two ranks; with more, sums are taken in varying order. A checkpoint can be resumed with any
    number of ranks, with results equal up to rounding. Checkpoints of other code are ignored, except for
    `runtime.accepted_code`. The reported figures are those of the last weights on `data.test_split`; the best figure on
    `data.val_split` is logged as `val/best_miou` and selects nothing.

    Several `runtime.ranks` are child processes of this one, which end before this returns or raises. `progress` is
    always called in this process.

    Raises DataError, WeightsError, DivergedError, RankLostError, DeviceBusyError, TrainerError (no such device, or one
    without the precision; class weights that do not fit the data; a batch that the ranks cannot split; another process
    training in `workdir`), ValueError for a backbone that cannot be built, and whatever `progress` raises.
    """
    config = config.normalised()
    if runtime.ranks == 1:
        return train_here(config, runtime, workdir, progress, rank_device(runtime.device))
    check_ranks(config, runtime.ranks)
    result: TrainResult = run_ranks(partial(train_rank, config, runtime, workdir), runtime.ranks, progress)
    return result


def check_ranks(config: TrainConfig, ranks: int) -> None:
    """Raise TrainerError unless `ranks` ranks can train the trial."""
    size, accumulated = config.schedule.batch_size, setting(config.schedule, "accumulation_steps")
    if size % (ranks * accumulated) != 0:
        parts = f"{ranks} ranks" if accumulated == 1 else f"{ranks} ranks x {accumulated} accumulation steps"
        raise TrainerError(f"schedule.batch_size: {size} images do not split evenly over {parts} (runtime.ranks)")
    try:
        require_compute_fits(config.compute, ranks=ranks)
    except ValueError as error:
        raise TrainerError(str(error)) from error


def train_rank(
    config: TrainConfig, runtime: Runtime, workdir: Path, info: RankInfo, progress: Progress
) -> TrainResult | None:
    """Train as one of several ranks; only rank 0 returns a result and writes files."""
    device = rank_device(runtime.device, info.rank)
    with process_group(info, device):
        result = train_here(config, runtime, workdir, progress, device)
    return result if info.rank == 0 else None


def train_here(
    config: TrainConfig, runtime: Runtime, workdir: Path, progress: Progress, device: torch.device
) -> TrainResult:
    """Train in this process. `config` is normalised, and the process group, if any, is initialised."""
    torch.set_num_threads(runtime.threads)
    workdir.mkdir(parents=True, exist_ok=True)
    lock: AbstractContextManager[None] = exclusive(workdir / "lock") if rank() == 0 else nullcontext()
    limit = limited_memory(device, runtime.gpu_share)
    with lock, limit, isolated_rng(device), arithmetic(config.compute):
        source = open_source(config.data)
        state = TrainingState.start(config, source, device, Loader.of(runtime, device, source, config.data.train_split))
        checkpoints = Checkpoints(workdir, runtime.accepted_code)
        with rank_0_first():  # rank 0 holds the lock and deletes damaged files before the others read
            found = checkpoints.load(config)
        if found is not None:
            state.restore(found)
        run_steps(state, runtime, checkpoints, progress)
        metrics = state.figures()
        pictures = state.draw(workdir / PICTURE_FOLDER) if rank() == 0 else ()
        counts = state.reported.count_NCK if state.reported is not None else None
        names = tuple(source.class_names)
        return TrainResult(
            metrics=metrics,
            code=state.code,
            loader=str(state.loader),
            pictures=pictures,
            count_NCK=counts,
            class_names=names,
        )


def run_steps(state: TrainingState, runtime: Runtime, checkpoints: Checkpoints, progress: Progress) -> None:
    """Take the remaining steps; log, evaluate and save at their intervals and after the last step."""
    config, steps = state.config, state.config.schedule.steps
    take_step = TrainStep(config, state.model, state.contrast, state.optimizer, state.device, state.scaler)
    batches = TrainBatches(
        state.source,
        config.data,
        batch_size=config.schedule.batch_size,
        seed=config.seed,
        device=state.device,
        loader=state.loader,
        rank=rank(),
        ranks=world_size(),
    )
    first = state.step
    state.model.train()
    with closing(batches.iterate(first, steps - first)) as ready:
        state.resume_clock()
        for step in range(first, steps):
            with state.waiting_for_data():
                batch = next(ready)
            log, validate, save = (
                (step + 1) % every == 0 or step + 1 == steps
                for every in (runtime.log_every_steps, config.schedule.eval_every_steps, runtime.checkpoint_every_steps)
            )
            measured = take_step(batch, step, spread=log)
            state.finish_step(step)
            if not (log or validate or save):
                continue
            state.stop_clock()
            require_finite(measured["train/loss"], state)
            if log:
                progress(state.step, state.training_point(measured))
            if validate and (point := state.validate(checkpoints)):
                progress(state.step, point)
            if rank() == 0 and state.step == steps:
                checkpoints.finish(state.checkpoint())
            elif rank() == 0 and save:
                checkpoints.save(state.checkpoint())
            state.resume_clock()


def require_finite(loss: Tensor, state: TrainingState) -> None:
    """Raise DivergedError with the step if the loss is not finite."""
    if not math.isfinite(value := float(loss)):
        contrast = "" if state.contrast is None else ", lower contrast.weight or raise contrast.temperature"
        rate = state.config.optim.lr
        raise DivergedError(f"step {state.step}: the loss is {value}; lower optim.lr ({rate}){contrast}")


@contextmanager
def exclusive(path: Path, *, wait_seconds: float = 30.0) -> Iterator[None]:
    """Hold an exclusive flock(2) on the file `path`, which the system releases if this process dies.

    Waits `wait_seconds` for another holder, which may be about to end; then raises TrainerError. Without locks in the
    file system, two processes that train in one folder may damage each other's checkpoints, which their digests show.
    """
    lock = FileLock(path, fallback_to_soft=False)
    held: AbstractContextManager[object]
    try:
        held = lock.acquire(timeout=wait_seconds, poll_interval=LOCK_POLL_SECONDS)
    except Timeout as error:
        raise TrainerError(
            f"{path}: another process is training in this folder; wait for it, or stop it and start again"
        ) from error
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
        message = (
            f"{path}: no locks here ({error.strerror}); a second process that trains in this folder is not noticed"
        )
        warnings.warn(message, stacklevel=3)
        held = nullcontext()
    with held:
        yield


def isolated_rng(device: torch.device) -> AbstractContextManager[None]:
    """Restore torch's global generators after the body; dropout uses them, seeded at each step on every device."""
    return torch.random.fork_rng(devices=range(torch.cuda.device_count()) if device.type == "cuda" else [])
