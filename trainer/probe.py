"""Probe: runs a few steps of a trial to measure its memory and step time before it is assigned to a GPU."""

from __future__ import annotations

import gc
import statistics
import time
from contextlib import closing

import torch

from trainer.arithmetic import arithmetic
from trainer.config import Runtime, TrainConfig
from trainer.data import open_source
from trainer.data.loading.batches import TrainBatches, evaluation_batches
from trainer.data.loading.loader import Loader
from trainer.distributed import rank_device
from trainer.evaluate import WHOLE_IMAGE, evaluating, logits_at_label_size
from trainer.run import isolated_rng
from trainer.step import TrainStep, warmup_steps
from trainer.training_state import TrainingState

__all__ = ["probe"]

STEPS = 4
"""The first step is not timed."""


def probe(config: TrainConfig, runtime: Runtime, steps: int = STEPS) -> dict[str, float]:
    """Train `config` for a few steps with its contrastive loss, evaluate one batch, and return the cost.

    `probe/step_seconds` is the median time of a step. On CUDA also `probe/peak_memory_gb`, the most memory that this
    process held on the device including its context, and `probe/device_memory_gb` (GB = 1e9 bytes); no other process
    may use the device. Writes no file. Raises what `train` raises.
    """
    config = config.normalised()
    device = rank_device(runtime.device)
    torch.set_num_threads(runtime.threads)
    if device.type == "cuda":  # what an earlier probe in this process held does not count
        gc.collect()
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
    with isolated_rng(device), arithmetic(config.compute):
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
        with closing(batches.iterate(0, steps + 1)) as ready:
            for step, batch in zip(range(first, first + steps), ready, strict=False):
                began = time.perf_counter()
                take_step(batch, step)
                if device.type == "cuda":
                    torch.cuda.synchronize(device)
                seconds.append(time.perf_counter() - began)
            evaluate_one_batch(state)  # while the device holds what the loader keeps there, as in a trial
        return {"probe/step_seconds": statistics.median(seconds[1:] or seconds), **memory_gb(device)}


def evaluate_one_batch(state: TrainingState) -> None:
    """Evaluate a batch as the learning curve does, then as the reported figures, whose scales may enlarge images."""
    data, batch_size = state.config.data, state.config.schedule.batch_size
    batches = evaluation_batches(
        state.source,
        data.val_split,
        batch_size,
        base_size=data.base_size,
        device=state.device,
        loader=state.loader,
    )
    with evaluating(state.model), closing(batches):
        batch = next(batches)
        for views in dict.fromkeys((WHOLE_IMAGE, state.config.evaluation)):
            logits_at_label_size(state.model, batch, views)


def memory_gb(device: torch.device) -> dict[str, float]:
    """Peak and total memory of a CUDA device; empty for a CPU."""
    if device.type != "cuda":
        return {}
    free, total = torch.cuda.mem_get_info(device)
    context = max(0, total - free - torch.cuda.memory_reserved(device))
    peak = torch.cuda.max_memory_reserved(device) + context
    return {"probe/peak_memory_gb": peak / 1e9, "probe/device_memory_gb": total / 1e9}
