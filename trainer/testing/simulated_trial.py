"""`simulated_trial`: a whole trial on the simulated CUDA device, from the first step to the reported figures."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import Any
from unittest import mock

import torch
from torch import Tensor

import trainer.evaluate
import trainer.run
from trainer.arithmetic import arithmetic
from trainer.config import Runtime, TrainConfig
from trainer.data import open_source
from trainer.data.loading import device, resident, upload, whole_images
from trainer.data.loading.loader import Loader
from trainer.metrics import Scores, score
from trainer.testing.simulated_cuda import DEVICE, SimulatedCuda, outside, simulated_cuda
from trainer.training_state import TrainingState

__all__ = ["MAY_WAIT", "simulated_trial"]

MAY_WAIT = (
    (TrainingState, "start", "builds model and bank before the first step"),
    (trainer.run, "TrainStep", "moves class weights to the device before the first step"),
    (TrainingState, "stop_clock", "waits for the queued work, when a point, an evaluation or a checkpoint is due"),
    (resident.ResidentSplit, "__init__", "copies the training split before the first step"),
    (trainer.run, "require_finite", "reads the loss, after `stop_clock`"),
    (TrainingState, "training_point", "reads the metrics, after `stop_clock`"),
    (TrainingState, "checkpoint", "reads the scale of the loss, after `stop_clock`"),
)
"""Where the host may wait for the device, with the reason. Besides these, `score` reads the counts of an evaluation."""


class NoCheckpoints:
    """Discards what a trial saves."""

    def save(self, checkpoint: object) -> None:
        """Discard a checkpoint."""

    finish = save_best = save


def simulated_trial(config: TrainConfig, runtime: Runtime = Runtime(log_every_steps=1)) -> SimulatedCuda:  # noqa: B008
    """Take all steps of `config`, evaluate, log and report; returns what was seen. Raises DeviceFault.

    Loader threads read and resize real images; what the device does with them is simulated. Allowed to wait are
    `MAY_WAIT` and the end of an evaluation.
    """
    config = config.normalised()
    with simulated_cuda() as found, ExitStack() as stack:
        for owner, name, _ in MAY_WAIT:
            original = owner.__dict__[name]
            function = original.__func__ if isinstance(original, classmethod) else original
            allowed = found.allow(function)
            stack.enter_context(
                mock.patch.object(owner, name, classmethod(allowed) if function is not original else allowed)
            )
        stack.enter_context(mock.patch.object(trainer.evaluate, "score", score_of_ones(found)))
        stack.enter_context(mock.patch.object(upload, "copy_stream", return_value=mock.MagicMock()))
        for module in (device, resident, whole_images):
            stack.enter_context(mock.patch.object(module, "host_memory", pageable))
        stack.enter_context(mock.patch.object(resident, "source_pixels", on_host(resident.source_pixels)))
        with outside():
            source = open_source(config.data)
            loader = Loader.of(runtime, DEVICE, source, config.data.train_split)
        with arithmetic(config.compute):
            state = TrainingState.start(config, source, DEVICE, loader)
            trainer.run.run_steps(state, runtime, NoCheckpoints(), lambda step, metrics: None)  # type: ignore[arg-type]
            state.figures()
    return found


def score_of_ones(found: SimulatedCuda) -> Callable[..., Scores]:
    """`score`, which reads its counts: they are ones here."""

    def scored(*measured: Tensor | Mapping[str, float]) -> Scores:
        counts = [item for item in measured if isinstance(item, Tensor)]
        with found.may_wait():
            shapes = [count.cpu().shape for count in counts]
        with outside():
            matrix_CC, count_NCK = (torch.ones(shape, dtype=torch.int64) for shape in shapes)
            return score(matrix_CC, count_NCK)

    return scored


def on_host(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """A function whose work is the host's, outside the simulation."""

    def works(*args: Any) -> Tensor:
        with outside():
            return function(*args)

    return works


def pageable(size: tuple[int, ...], dtype: torch.dtype, _: torch.device) -> Tensor:
    """`host_memory` that is not pinned, which needs a driver."""
    return torch.empty(size, dtype=dtype)
