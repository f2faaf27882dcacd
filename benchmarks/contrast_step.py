"""Time and memory of the contrast path on a CPU: `python benchmarks/contrast_step.py [--json OUT] [--quick]`.

Forward, backward and push at Cityscapes size, against the goals and against what the released loss was measured to
need; the gain over a loop per anchor at a smaller size; the share of the contrast path in a training step. Every case
runs in a process of its own, so that its peak memory is its own. `--quick` shrinks all sizes: a check that it runs.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import platform
import resource
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F

from trainer.build import build_segmentor
from trainer.config import (
    AnchorConfig,
    ContrastConfig,
    MemoryConfig,
    MiningConfig,
    ModelConfig,
    OptimConfig,
    ScheduleConfig,
    TrainConfig,
)
from trainer.contrast import PixelContrast
from trainer.data.batches import Batch
from trainer.memory_forecast import forecast_contrast
from trainer.optim import build_optimizer
from trainer.step import TrainStep

EVERYTHING = 10**9


@dataclass(frozen=True, kw_only=True, slots=True)
class Figure:
    """One line of the report; `ours` and `beside` in SI units (seconds, bytes) or shares."""

    figure: str
    ours: float
    beside: float | None
    """The naive loop on the same inputs in the same run; None where there is none."""
    ratio: float | None
    """beside / ours."""
    goal: str
    held: bool | None
    """None in a quick run, whose sizes are not those of the goal."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Size:
    """A mini-batch and its bank."""

    batch: int
    height: int
    """Of the embedding map; labels have 4 times the size."""
    width: int
    classes: int
    bank_rows: int
    """Per class."""
    anchors_per_class: int


CITYSCAPES = Size(batch=4, height=128, width=256, classes=19, bank_rows=10_000, anchors_per_class=54)
"""54 anchors of each of 19 classes: 1,026, the least multiple of 19 from 1,024."""
QUICK = Size(batch=2, height=16, width=32, classes=5, bank_rows=200, anchors_per_class=8)
SMALL = Size(batch=2, height=32, width=32, classes=7, bank_rows=200, anchors_per_class=6)

MODES = {
    "all rows": MiningConfig(kind="hardest", positives=EVERYTHING, negatives=EVERYTHING),
    "semi-hard 1024/2048": MiningConfig(kind="semi_hard", positives=1024, negatives=2048, hard_fraction=0.1),
}


def contrast_of(size: Size, mining: MiningConfig) -> ContrastConfig:
    """The loss that is measured."""
    return ContrastConfig(
        anchors=AnchorConfig(per_class=size.anchors_per_class),
        mining=mining,
        memory=MemoryConfig(kind="pixel", pixels_per_class=size.bank_rows),
    )


def scene(size: Size, mining: MiningConfig) -> tuple[PixelContrast, tuple[torch.Tensor, ...], torch.Generator]:
    """A module with a full bank, and (embedding, labels, predictions)."""
    generator = torch.Generator().manual_seed(0)
    config = contrast_of(size, mining)
    module = PixelContrast(config, size.classes)
    for queue in module.bank.contents():
        for class_KD in queue.embedding_CKD:
            class_KD.copy_(F.normalize(torch.randn(class_KD.shape, generator=generator), dim=1))
        queue.count_C.fill_(queue.capacity)
    shape = (size.batch, config.embedding_dim, size.height, size.width)
    embedding_BDhw = torch.randn(shape, generator=generator)
    embedding_BDhw /= embedding_BDhw.norm(dim=1, keepdim=True)
    maps = torch.randint(0, size.classes, (2, size.batch, 4 * size.height, 4 * size.width), generator=generator)
    return module, (embedding_BDhw.requires_grad_(), *maps), generator


def forecast(size: Size, mode: str) -> float:
    """Peak bytes above the bank that `trainer.memory_forecast` expects."""
    config, shape = contrast_of(size, MODES[mode]), (size.height, size.width)
    found = forecast_contrast(config, classes=size.classes, images=size.batch, map_size=shape, device="cpu")
    return float(found.peak - found.bank)


def peak_bytes() -> int:
    """Highest resident memory of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def measure_step(threads: int, size: Size, mode: str, repeats: int) -> tuple[float, float, float]:
    """Median seconds of forward + backward + push, peak bytes above the inputs (bank and mini-batch), CPU seconds."""
    torch.set_num_threads(threads)
    module, (embedding_BDhw, label_BHW, prediction_BHW), generator = scene(size, MODES[mode])
    inputs, seconds, cpu = peak_bytes(), [], []
    for _ in range(repeats):
        embedding_BDhw.grad = None
        began, worked = time.perf_counter(), time.process_time()
        module(embedding_BDhw, label_BHW, prediction_BHW, generator=generator).loss.backward()
        module.push(embedding_BDhw.detach(), label_BHW, generator=generator)
        seconds.append(time.perf_counter() - began)
        cpu.append(time.process_time() - worked)
    return statistics.median(seconds), float(peak_bytes() - inputs), statistics.median(cpu)


def measure_naive(threads: int, repeats: int) -> tuple[float, float]:
    """Median seconds of forward + backward at `SMALL` size: ours, and a loop over anchors and positives."""
    torch.set_num_threads(threads)
    module, batch, generator = scene(SMALL, MODES["all rows"])
    ours, naive = [], []
    for _ in range(repeats):
        state = generator.get_state()
        began = time.perf_counter()
        loss = module(*batch, generator=generator).loss
        (grad_BDhw,) = torch.autograd.grad(loss, batch[0])
        ours.append(time.perf_counter() - began)
        generator.set_state(state)
        began = time.perf_counter()
        expected = naive_loss(module, batch, generator)
        (expected_BDhw,) = torch.autograd.grad(expected, batch[0])
        naive.append(time.perf_counter() - began)
        torch.testing.assert_close(loss, expected, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(grad_BDhw, expected_BDhw, atol=1e-5, rtol=1e-4)
    return statistics.median(ours), statistics.median(naive)


def naive_loss(module: PixelContrast, batch: tuple[torch.Tensor, ...], generator: torch.Generator) -> torch.Tensor:
    """Equation 3 word by word: one anchor at a time, one class at a time, one positive at a time; no mining."""
    embedding_BDhw, label_BHW, prediction_BHW = batch
    label_P, prediction_P = (item[:, 2::4, 2::4].flatten() for item in (label_BHW, prediction_BHW))
    anchors, keys = module.candidates(embedding_BDhw, label_P, prediction_P, generator)[:2]
    losses = []
    for number in range(len(anchors.class_A)):
        anchor_D, total = anchors.embedding_AD[number], torch.zeros(())
        positives: list[torch.Tensor] = []
        for c in range(module.classes):
            for block in keys.blocks:
                similarity_K = block.embedding_CKD[c] @ anchor_D / module.config.temperature
                legal_K = block.valid_CK[c]
                if c != anchors.class_A[number]:
                    total = total + similarity_K[legal_K].exp().sum()
                    continue
                if block is keys.batch:
                    legal_K = legal_K & (keys.position_CK[c] != anchors.position_A[number])
                positives.extend(similarity_K[legal_K].unbind())
        terms = [-(positive.exp() / (positive.exp() + total)).log() for positive in positives]
        losses.append(torch.stack(terms).mean())
    return torch.stack(losses).mean()


def measure_share(threads: int, height: int, width: int, steps: int) -> tuple[float, float]:
    """Median seconds of the contrast path and of the whole step of an hrnet_w18 (batch 4, 11 classes, default bank)."""
    torch.set_num_threads(threads)
    generator = torch.Generator().manual_seed(0)
    config = TrainConfig(
        model=ModelConfig(backbone="hrnet_w18", head="hrnet"),
        contrast=ContrastConfig(warmup_fraction=0.0),
        optim=OptimConfig(),
        schedule=ScheduleConfig(batch_size=4),
    )
    module = PixelContrast(config.contrast, 11)
    for queue in module.bank.contents():
        queue.embedding_CKD.copy_(F.normalize(torch.randn(queue.embedding_CKD.shape, generator=generator), dim=2))
        queue.count_C.fill_(queue.capacity)
    model = build_segmentor(config.model, config.contrast, classes=11, seed=0).train()
    step = TrainStep(config, model, module, build_optimizer(model, config.optim), torch.device("cpu"))
    batch = Batch(
        torch.rand(4, 3, height, width, generator=generator),
        torch.randint(0, 11, (4, height, width), generator=generator),
    )
    whole, alone = [], []
    for number in range(steps):
        began = time.perf_counter()
        step(batch, number)
        whole.append(time.perf_counter() - began)
    with torch.no_grad():
        embedding_BDhw = model(batch.image_B3HW).embedding_BDhw
    assert embedding_BDhw is not None
    embedding_BDhw.requires_grad_()
    for _ in range(steps):
        began = time.perf_counter()
        module(embedding_BDhw, batch.label_BHW, batch.label_BHW, generator=generator).loss.backward()
        module.push(embedding_BDhw.detach(), batch.label_BHW, generator=generator)
        alone.append(time.perf_counter() - began)
    return statistics.median(alone[1:]), statistics.median(whole[1:])


def apart(function: Callable[..., tuple[float, ...]], *arguments: Any) -> tuple[float, ...]:
    """Call `function` in a fresh process."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def figures(quick: bool, threads: int) -> list[Figure]:
    """Measure everything."""
    size, found = (QUICK if quick else CITYSCAPES), []

    def add(figure: str, ours: float, beside: float | None, goal: str, held: bool | None) -> None:
        ratio = None if beside is None else beside / ours if ours > 0 else float("inf")
        line = Figure(figure=figure, ours=ours, beside=beside, ratio=ratio, goal=goal, held=None if quick else held)
        comparison = "" if beside is None else f", beside {beside:.4g}, ratio {ratio:.3g}"
        verdict = {True: " held", False: " NOT HELD", None: ""}[line.held]
        print(f"{figure}: {ours:.4g}{comparison}; goal {goal}{verdict}", flush=True)
        found.append(line)

    for mode in MODES:
        seconds, memory, cpu = apart(measure_step, threads, size, mode, 1 if quick else 3)
        add(f"contrast step, {mode}, seconds", seconds, None, "<= 3 s", seconds <= 3)
        add(
            f"contrast step, {mode}, CPU seconds of all threads", cpu, None, "none: says how busy the machine was", None
        )
        add(f"contrast step, {mode}, bytes above inputs", memory, None, "<= 2.2e9", memory <= 2.2e9)
        add(f"contrast step, {mode}, bytes forecast", forecast(size, mode), None, "none: above the bank", None)
    ours, naive = apart(measure_naive, threads, 1 if quick else 3)
    add("loss and gradient beside a loop per anchor, small size, seconds", ours, naive, "faster", ours < naive)
    contrast, whole = apart(measure_share, threads, *((64, 64, 2) if quick else (192, 256, 5)))
    share = contrast / whole
    # An HRNet needs sides that are multiples of 32, so 256x192 stands for 240x180.
    add(
        f"share of contrast in an hrnet_w18 step, {'64x64' if quick else '256x192'}, batch 4",
        share,
        None,
        "<= 0.2",
        share <= 0.2,
    )
    return found


def main() -> None:
    """Print the figures; write them where `--json` says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, metavar="OUT", help="write the figures to this file")
    parser.add_argument("--quick", action="store_true", help="tiny sizes")
    parser.add_argument("--threads", type=int, default=2, help="CPU threads; the goals are meant for 2")
    options = parser.parse_args()
    load = os.getloadavg()[0]
    print(f"{machine()}; {options.threads} threads, torch {torch.__version__}, load before {load:.1f}", flush=True)
    found = [{**asdict(item), "machine": machine(), "load": load} for item in figures(options.quick, options.threads)]
    if options.json is not None:
        options.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def machine() -> str:
    """Processor and number of cores."""
    facts = Path("/proc/cpuinfo")
    lines = facts.read_text(encoding="utf-8").splitlines() if facts.exists() else []
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    return f"{model or platform.processor()} x {os.cpu_count()}"


if __name__ == "__main__":
    main()
