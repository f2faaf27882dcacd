"""A training step in each arithmetic and layout: `python -m benchmarks.train_step [--device cuda] [--json OUT]`.

Measures forward, loss, backward and optimiser of a cross-entropy trial, as in `trainer.step`: the plain step of eager
PyTorch (float32, contiguous layout, a loop over the parameters) beside the combinations that a trial can have. All
start from the same weights and see the same batch, and the losses of their first steps are checked. The best
combination is named. If a recipe trains the model on this device, its choice is compared with the best; on a CPU only
with those that suit every CPU (bfloat16 without AVX512-BF16 or AMX is up to 8 times slower than float32). The last
figure adds the data: decoding each image beside the decoded cache. On CUDA, the first steps' peak memory is beside that
of the plain step, weights and momentum included. Steps of all combinations alternate and the fastest
of each counts, because disturbances only add time. On a CPU, seconds are CPU seconds.
"""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import torch

from benchmarks.contrast_step import Meter
from benchmarks.data import draw_camvid
from benchmarks.report import DEVICES, Figure, command_line, information, parse, publish, write_figures
from orchestrator.machine.own_folder import temporary_folder
from trainer.arithmetic import arithmetic
from trainer.build import build_segmentor
from trainer.config import (
    ComputeConfig,
    ContrastConfig,
    DataConfig,
    ModelConfig,
    OptimConfig,
    Runtime,
    ScheduleConfig,
    TrainConfig,
    setting,
)
from trainer.data.files.camvid import CamVid
from trainer.data.loading.batches import Batch, TrainBatches
from trainer.data.loading.loader import CPU, IN_TRAINING_THREAD, Loader
from trainer.data.reading.cache import DecodedCache
from trainer.optim import build_optimizer
from trainer.step import TrainStep

CLASSES = 11
LOSS_TOLERANCE = 0.05
"""Allowed relative difference of the first loss; the significand of bfloat16 has 8 bits."""
SLACK = 1.1
"""Allowed ratio of the recipe's choice to the best: two measurements of the same step differ by as much."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Combination:
    """How a step is computed."""

    name: str
    compute: ComputeConfig = ComputeConfig()
    fused: bool = False
    """Whether the optimiser is fused."""
    loop: bool = False
    """Whether it updates one parameter after another, as torch does on a CPU by default."""


BFLOAT16 = ComputeConfig(precision="bfloat16")
PLAIN = Combination(name="plain", compute=ComputeConfig(channels_last=False), loop=True)
FLOAT32 = Combination(name="channels_last, foreach")
REDUCED = Combination(name="channels_last, foreach, bfloat16", compute=BFLOAT16)
COMBINATIONS = (PLAIN, FLOAT32, Combination(name="channels_last, fused", fused=True), REDUCED)
ON_CUDA = (
    Combination(name="channels_last, foreach, TF32", compute=ComputeConfig(tf32=True)),
    Combination(name="channels_last, foreach, no TF32", compute=ComputeConfig(tf32=False)),
    Combination(name="channels_last, fused, bfloat16, TF32", compute=replace(BFLOAT16, tf32=True), fused=True),
    Combination(name="channels_last, foreach, CUDA graphs", compute=ComputeConfig(cuda_graphs=True)),
    Combination(name="channels_last, foreach, bfloat16, CUDA graphs", compute=replace(BFLOAT16, cuda_graphs=True)),
)
"""What has an effect on CUDA only."""
COMPILED = (
    Combination(name="channels_last, foreach, compiled", compute=ComputeConfig(compile=True)),
    Combination(name="channels_last, foreach, bfloat16, compiled", compute=replace(BFLOAT16, compile=True)),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """A model with its mini-batch."""

    backbone: str
    crop: tuple[int, int]
    batch: int
    head: Literal["deeplabv3", "hrnet", "ocr"] = "hrnet"
    head_channels: int
    output_stride: Literal[8, 16, 32] = 32
    recipe: str = ""
    """The recipe that trains it on the device; empty if none does."""
    chosen: Combination = FLOAT32
    """What the recipe computes in."""
    compiles: bool = True


LITE0 = Case(backbone="tf_efficientnet_lite0", crop=(160, 208), batch=4, head_channels=128, recipe="camvid_lite0")
SYNTHETIC = Case(
    backbone="tf_efficientnet_lite0",
    crop=(64, 96),
    batch=8,
    head_channels=64,
    recipe="synthetic",
    compiles=False,
)
CASES = {
    "cpu": (
        SYNTHETIC,
        LITE0,
        Case(backbone="hrnet_w18", crop=(192, 256), batch=4, head_channels=270, compiles=False),
    ),
    "cuda": (
        LITE0,
        Case(backbone="hrnet_w18", crop=(352, 480), batch=16, head_channels=270),
        Case(
            backbone="hrnet_w48",
            crop=(352, 480),
            batch=16,
            head_channels=720,
            recipe="camvid_hrnet_w48",
            chosen=REDUCED,
        ),
        Case(
            backbone="hrnet_w48",
            crop=(512, 1024),
            batch=8,
            head_channels=720,
            recipe="cityscapes_hrnet_w48",
            chosen=REDUCED,
        ),
    ),
}
"""Models that recipes train on the device, and an hrnet_w18; on a CPU at half the crop, as compiling takes minutes."""
QUICK = (Case(backbone="timm/test_resnet", crop=(64, 64), batch=2, head_channels=8, recipe="none", compiles=False),)


def main() -> int:
    """Measure, print and write; returns 1 if a goal is missed."""
    parser = command_line(__doc__, DEVICES)
    parser.add_argument("--threads", type=int, default=1, help="CPU threads (default: 1, as a trial has)")
    parser.add_argument("--steps", type=int, default=5, help="timed steps of each; the fastest counts (default: 5)")
    parser.add_argument("--eager", action="store_true", help="without torch.compile, which takes minutes")
    given = parse(parser)
    torch.set_num_threads(given.threads)
    figures = []
    with temporary_folder("benchmark") as folder:
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(folder)  # so that a compilation starts cold
        for case in QUICK if given.quick else CASES[given.device]:
            chosen = replace(case, compiles=case.compiles and not given.eager)
            figures += of_case(chosen, given.device, 1 if given.quick else given.steps, counts=not given.quick)
            write_figures(figures, given.json)
    return 0 if publish(figures, given.json) else 1


def of_case(case: Case, device: str, steps: int, *, counts: bool) -> list[Figure]:
    """The combinations, the choice of the recipe, and the step with its data."""
    combinations = COMBINATIONS + (ON_CUDA if device == "cuda" else ())
    if case.compiles and can_compile(device):
        combinations += COMPILED if device == "cuda" else COMPILED[:1]  # on a CPU no recipe computes in bfloat16
    batch, meter = random_batch(case), Meter(device)
    training_steps: dict[Combination, TrainStep] = {}
    starts: dict[Combination, float] = {}
    peaks: dict[Combination, float] = {}
    for item in combinations:
        held = start_memory(device)
        began = time.perf_counter()  # wall time, because a compiler works in other processes
        step = training_steps[item] = step_of(case, item, device)
        with arithmetic(item.compute):
            for number in range(2):  # the second has the momentum of the first
                step(batch, number)
                starts.setdefault(item, time.perf_counter() - began)
        peaks[item] = meter.peak() - held
    check_losses(case, device, combinations)
    taken: dict[Combination, list[float]] = {item: [] for item in combinations}
    for number in range(2, steps + 3):  # the first one after the start is not yet stable
        for item, step in training_steps.items():
            with arithmetic(item.compute):
                taken[item].append(meter.seconds(lambda step=step, number=number: step(batch, number)))
    seconds = {item: min(values[1:]) for item, values in taken.items()}
    eligible = [item for item in seconds if device == "cuda" or item.compute.precision is None]
    best = min(eligible, key=seconds.__getitem__)
    label = f"{case.backbone} {case.crop[0]}x{case.crop[1]} batch {case.batch}"
    figures = [line(f"step, {label}: {item.name}", seconds[item], seconds[PLAIN]) for item in seconds if item != PLAIN]
    figures += [
        Figure(figure=f"first step, {label}: {item.name}, wall time", ours=starts[item])
        for item in combinations
        if item.compute.compile or item.compute.cuda_graphs
    ]
    if device == "cuda":
        figures += [
            information(f"peak memory, {label}: {item.name}, beside plain", peaks[item], peaks[PLAIN], unit="B")
            for item in combinations
            if item != PLAIN
        ]
    near = seconds[case.chosen] / seconds[best]
    figures.append(
        Figure(
            figure=f"step, {label}: as {case.recipe or 'recipes'} beside the best ({best.name})",
            ours=seconds[case.chosen],
            beside=seconds[best],
            ratio=near,
            goal=f"at most {SLACK:g}x" if case.recipe else "",
            held=near <= SLACK if counts and case.recipe else None,
        )
    )
    with temporary_folder("benchmark") as folder:
        figures.append(with_data(case, training_steps[PLAIN], training_steps[case.chosen], meter, folder, label, steps))
    return figures


def start_memory(device: str) -> float:
    """Bytes that this process holds on the device, from which the peak of what follows is counted."""
    if device != "cuda":
        return 0.0
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    return float(torch.cuda.memory_allocated())


def can_compile(device: str) -> bool:
    """Whether torch.compile has the compiler that it needs; prints a line if not."""
    found = device == "cuda" or shutil.which("g++") is not None
    if not found:
        print("torch.compile is skipped: on a CPU it needs g++")
    return found


def random_batch(case: Case) -> Batch:
    """Random images with random labels."""
    generator = torch.Generator().manual_seed(0)
    return Batch(
        torch.rand(case.batch, 3, *case.crop, generator=generator),
        torch.randint(0, CLASSES, (case.batch, *case.crop), generator=generator),
    )


def config_of(case: Case, item: Combination) -> TrainConfig:
    """The configuration whose step is timed."""
    return TrainConfig(
        data=DataConfig(crop=case.crop, scale=(0.75, 2.0), color_jitter=0.1),
        model=ModelConfig(
            backbone=case.backbone,
            head=case.head,
            head_channels=case.head_channels,
            output_stride=case.output_stride,
            dropout=0.0,
        ),
        contrast=ContrastConfig(source="none"),
        schedule=ScheduleConfig(batch_size=case.batch),
        optim=OptimConfig(fused=item.fused),
        compute=item.compute,
    )


def step_of(case: Case, item: Combination, device: str) -> TrainStep:
    """A fresh model and its training step."""
    config = config_of(case, item)
    layout = bool(setting(config.compute, "channels_last"))
    model = build_segmentor(config.model, config.contrast, classes=CLASSES, seed=0, channels_last=layout)
    optimizer = build_optimizer(model.train().to(device), config.optim)
    if item.loop:
        for group in optimizer.param_groups:
            group["foreach"] = False
    return TrainStep(config, model, None, optimizer, torch.device(device))


def check_losses(case: Case, device: str, combinations: tuple[Combination, ...]) -> None:
    """Raise unless the first loss of every eager combination is that of the plain step, within the tolerance.

    Compiled combinations have the graph of their eager counterparts.
    """
    batch = random_batch(case)
    eager = [item for item in combinations if not item.compute.compile]
    losses = []
    for item in eager:
        with arithmetic(item.compute):
            losses.append(float(step_of(case, item, device)(batch, 0)["train/ce"]))
    for item, loss in zip(eager, losses, strict=True):
        if not abs(loss - losses[0]) <= LOSS_TOLERANCE * abs(losses[0]):
            raise RuntimeError(f"{case.backbone}, {item.name}: loss {loss:.4f}, plain {losses[0]:.4f}")


def line(figure: str, ours: float, plain: float) -> Figure:
    """A combination beside the plain step; the ratio is the speed-up."""
    return Figure(figure=figure, ours=ours, beside=plain, ratio=plain / ours)


def with_data(
    case: Case, plain: TrainStep, chosen: TrainStep, meter: Meter, folder: Path, label: str, steps: int
) -> Figure:
    """The recipe's step with the loader of its trials beside the plain step with files that are decoded each time.

    The plain step makes float32 batches in its own thread, and copies them to the device.
    """
    root = draw_camvid(folder / "camvid", 2 * case.batch)
    sources = [CamVid(root, cache=cache) for cache in (DecodedCache(folder / "cache", 10**12), DecodedCache(None, 0))]
    sources[0].read("train", 0)
    loader = Loader.of(Runtime(threads=torch.get_num_threads()), chosen.device, sources[0], "train")
    ways = ((sources[0], chosen, chosen.device, loader), (sources[1], plain, CPU, IN_TRAINING_THREAD))
    seconds = []
    for source, step, device, way in ways:
        batches = TrainBatches(
            source, step.config.data, batch_size=case.batch, seed=0, device=device, loader=way
        ).iterate(0, steps)
        with closing(batches):
            values = [meter.seconds(taking(batches, step, number)) for number in range(steps)]
        seconds.append(min(values))
    return line(
        f"step with its data, {label}: the recipe's, cached, {loader}, beside plain, decoding", seconds[0], seconds[1]
    )


def taking(batches: Iterator[Batch], step: TrainStep, number: int) -> Callable[[], object]:
    """A function that gets a batch and takes a step on it."""
    return lambda: step(next(batches), number + 100)


if __name__ == "__main__":
    sys.exit(main())
