"""Probe: runs a few steps of a trial to measure its memory and step time before it is assigned to a GPU."""

from __future__ import annotations

import statistics
import time
from contextlib import closing

import torch

from trainer.arithmetic import arithmetic
from trainer.config import Runtime, TrainConfig
from trainer.data import open_source
from trainer.data.loading.batches import TrainBatches
from trainer.data.loading.loader import Loader
from trainer.distributed import rank_device
from trainer.gpu_memory import limited_memory, release_memory
from trainer.run import isolated_rng
from trainer.step import TrainStep, warmup_steps
from trainer.training_state import TrainingState

__all__ = ["probe"]

STEPS = 4
"""The first step is not timed."""


def probe(config: TrainConfig, runtime: Runtime, steps: int = STEPS) -> dict[str, float]:
    """Train `config` for a few steps with its contrastive loss, evaluate a batch in each way, and return the cost.

    `probe/step_seconds` is the median time of a step. On CUDA also `probe/peak_memory_gb`, the most memory that this
    process held on the device including its context, and `probe/device_memory_gb` (GB = 1e9 bytes); no other process
    may use the device. Writes no file. Raises what `train` raises.
    """
    config = config.normalised()
    device = rank_device(runtime.device)
    torch.set_num_threads(runtime.threads)
    limit = limited_memory(device, runtime.gpu_share)
    with limit, isolated_rng(device), arithmetic(config.compute):
        if device.type == "cuda":  # what an earlier probe in this process held does not count
            release_memory()
            torch.cuda.reset_peak_memory_stats(device)
        source = open_source(config.data)
        loader = Loader.of(runtime, device, source, config.data.train_split)
        state = TrainingState.start(config, source, device, loader)
        take_step = TrainStep(config, state.model, state.contrast, state.optimizer, state.device, state.scaler)
        batch_size = config.schedule.batch_size
        batches = TrainBatches(
            source, config.data, batch_size=batch_size, seed=config.seed, device=device, loader=loader
        )
        state.model.train()
        seconds = []
        first = warmup_steps(config)
        steps = min(steps, config.schedule.steps - first)  # the schedule has no learning rate for later ones
        with closing(batches.iterate(0, steps)) as ready:
            for step, batch in zip(range(first, first + steps), ready, strict=False):
                began = time.perf_counter()
                measured = take_step(batch, step)
                state.finish_step(step)
                if device.type == "cuda":
                    torch.cuda.synchronize(device)
                seconds.append(time.perf_counter() - began)
            state.training_point(measured)  # while the device holds what the loader keeps there, as in a trial
            state.score(config.data.val_split, batches=1)
            state.score(config.data.test_split, config.evaluation, batches=1)
        return {"probe/step_seconds": statistics.median(seconds[1:] or seconds), **memory_gb(device)}


def memory_gb(device: torch.device) -> dict[str, float]:
    """Peak and total memory of a CUDA device; empty for a CPU."""
    if device.type != "cuda":
        return {}
    free, total = torch.cuda.mem_get_info(device)
    context = max(0, total - free - torch.cuda.memory_reserved(device))
    peak = torch.cuda.max_memory_reserved(device) + context
    return {"probe/peak_memory_gb": peak / 1e9, "probe/device_memory_gb": total / 1e9}
