"""Time and memory of the contrast path: `python -m benchmarks.contrast_step [--device cuda] [--json OUT] [--quick]`.

Measures loss with mining, gradient and push at CamVid and Cityscapes size, beside loops over classes that sort their
candidates and leave the rest to autograd (`benchmarks/naive_contrast.py`); both must give the same loss and gradient.
The miners that the loop lacks are measured alone. The contrast is also measured beside a step of a plain cross-entropy
trial of the same model. Every case has its own process (with --quick all have one), so that its peak memory is its own;
the loops take 9 GB at Cityscapes size. Seconds on a CPU are CPU seconds of all threads, which other work disturbs less.
"""

from __future__ import annotations

import gc
import multiprocessing
import resource
import statistics
import sys
import time
from collections.abc import Callable
from concurrent.futures import Executor, ProcessPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.contrast_memory import forecast_contrast
from benchmarks.naive_contrast import class_by_class
from benchmarks.report import DEVICES, Figure, at_least, command_line, parse, publish, write_figures
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
from trainer.data.loading.batches import Batch
from trainer.optim import build_optimizer
from trainer.step import TrainStep

EVERYTHING = 10**9
GAIN = 5.0
GRADIENT_TOLERANCE = 1e-3
CITYSCAPES_BYTES = 2.2e9
"""A quarter of the memory that the released loss takes at this size, as measured."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Size:
    """A mini-batch and its bank."""

    batch: int
    height: int
    """Of the embedding map; images are 4 times as high and wide."""
    width: int
    classes: int
    bank_rows: int
    """Per class: 10 times the training images (paper); for Cityscapes the size measured with the released loss."""
    anchors_per_class: int


CAMVID = Size(batch=16, height=88, width=120, classes=11, bank_rows=3670, anchors_per_class=50)
CITYSCAPES = Size(batch=4, height=128, width=256, classes=19, bank_rows=10_000, anchors_per_class=54)
"""54 anchors of each of 19 classes: 1,026, the smallest multiple of 19 that is at least 1,024."""
SHARES = {
    "cpu": (("hrnet_w18", replace(CAMVID, batch=4), 0.20),),
    "cuda": (("hrnet_w48", CAMVID, 0.15), ("hrnet_w48", replace(CITYSCAPES, batch=8), 0.15)),
}
"""The models whose plain step is the reference, the shapes of their recipes, and the share that contrast may add."""
SIZES = {"CamVid": CAMVID, "Cityscapes": CITYSCAPES}
QUICK = Size(batch=2, height=16, width=32, classes=5, bank_rows=200, anchors_per_class=8)

HARDEST = MiningConfig(kind="hardest", positives=1024, negatives=2048)
SEMI_HARD = MiningConfig(kind="semi_hard", positives=1024, negatives=2048, hard_fraction=0.1)
ALL_ROWS = MiningConfig(kind="hardest", positives=EVERYTHING, negatives=EVERYTHING)


def main() -> int:
    """Measure, print and write; returns 1 if a goal is missed."""
    parser = command_line(__doc__, DEVICES)
    parser.add_argument("--threads", type=int, default=1, help="CPU threads (default: 1, as a trial has)")
    given = parse(parser)
    figures = []
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, spawn, max_tasks_per_child=None if given.quick else 1) as pool:
        for backbone, size, most in SHARES[given.device]:
            figures += of_share(pool, backbone, size, most, given.device, given.threads, quick=given.quick)
            write_figures(figures, given.json)
        for name, size in ({"quick": QUICK} if given.quick else SIZES).items():
            figures += of_size(pool, name, size, given.device, given.threads, quick=given.quick)
            write_figures(figures, given.json)
    return 0 if publish(figures, given.json) else 1


def of_size(pool: Executor, name: str, size: Size, device: str, threads: int, *, quick: bool) -> list[Figure]:
    """Time and memory at one size."""
    repeats = 1 if quick else 3
    ours, memory = apart(pool, measure_ours, device, threads, size, HARDEST, repeats)
    loop, loop_memory = apart(pool, measure_loop, device, threads, size)
    apart(pool, check_equal, device, threads, size)
    mined, mined_memory = apart(pool, measure_ours, device, threads, size, SEMI_HARD, repeats)
    whole, _ = apart(pool, measure_ours, device, threads, size, ALL_ROWS, repeats)
    limited = name == "Cityscapes"
    return [
        at_least(f"contrast step, {name}, hardest, beside loops over classes", ours, loop, GAIN, counts=not quick),
        Figure(
            figure=f"the same, {name}, peak memory above the inputs",
            unit="B",
            ours=memory,
            beside=loop_memory,
            ratio=loop_memory / max(memory, 1.0),
            goal=f"at most {CITYSCAPES_BYTES:g} B" if limited else "",
            held=memory <= CITYSCAPES_BYTES if limited and not quick else None,
        ),
        Figure(figure=f"contrast step, {name}, semi-hard", ours=mined),
        Figure(
            figure=f"the same, {name}, peak memory above the inputs, beside the forecast",
            unit="B",
            ours=mined_memory,
            beside=forecast(size, SEMI_HARD, device),
        ),
        Figure(figure=f"contrast step, {name}, all rows without mining", ours=whole),
    ]


def of_share(
    pool: Executor, backbone: str, size: Size, most: float, device: str, threads: int, *, quick: bool
) -> list[Figure]:
    """What the contrast adds to a plain step: time, and on a GPU memory."""
    if quick:
        backbone, size = "timm/test_resnet", replace(QUICK, height=16, width=16)
    plain, alone, both, added = apart(pool, measure_share, device, threads, backbone, size, 2 if quick else 3)
    share = alone / plain
    crop = f"{4 * size.height}x{4 * size.width}, batch {size.batch}"
    memory = Figure(
        figure=f"memory that contrast adds to that step, beside the forecast of the loss, {backbone}, {crop}",
        unit="B",
        ours=added or 0.0,
        beside=forecast(size, SEMI_HARD, device),
    )
    figures = [
        Figure(
            figure=f"contrast (loss, mining, push) on top of a plain step of {backbone}, {crop}",
            ours=alone,
            beside=plain,
            ratio=share,
            goal=f"at most {most:g} of it",
            held=None if quick else share <= most,
        ),
        Figure(
            figure=f"a step with contrast and its projection head beside the plain one, {backbone}, {crop}",
            ours=both,
            beside=plain,
            ratio=both / plain,
        ),
    ]
    return figures if added is None else [*figures, memory]


def contrast_of(size: Size, mining: MiningConfig) -> ContrastConfig:
    """The configuration of the measured loss."""
    return ContrastConfig(
        anchors=AnchorConfig(per_class=size.anchors_per_class),
        mining=mining,
        memory=MemoryConfig(kind="pixel", pixels_per_class=size.bank_rows),
        warmup_fraction=0.0,
    )


def scene(
    size: Size, mining: MiningConfig, device: str
) -> tuple[PixelContrast, tuple[Tensor, Tensor, Tensor], torch.Generator]:
    """A module with a full bank, and (embedding, labels, predictions)."""
    generator = torch.Generator(device).manual_seed(0)
    config = contrast_of(size, mining)
    module = PixelContrast(config, size.classes).to(device)
    fill(module, generator)
    shape = (size.batch, config.embedding_dim, size.height, size.width)
    embedding_BDhw = torch.randn(shape, generator=generator, device=device)
    embedding_BDhw /= embedding_BDhw.norm(dim=1, keepdim=True)
    embedding_BDhw = embedding_BDhw.contiguous(memory_format=torch.channels_last)  # as the model returns it
    shape = (2, size.batch, 4 * size.height, 4 * size.width)
    label_BHW, prediction_BHW = torch.randint(0, size.classes, shape, generator=generator, device=device)
    return module, (embedding_BDhw.requires_grad_(), label_BHW, prediction_BHW), generator


def fill(module: PixelContrast, generator: torch.Generator) -> None:
    """Fill the bank with random unit vectors."""
    for queue in module.bank.contents():
        for class_KD in queue.embedding_CKD:
            class_KD.copy_(F.normalize(torch.randn(class_KD.shape, generator=generator, device=class_KD.device), dim=1))
        queue.count_C.fill_(queue.capacity)


def forecast(size: Size, mining: MiningConfig, device: str) -> float:
    """Peak bytes above the bank that `benchmarks.contrast_memory` expects."""
    config, shape = contrast_of(size, mining), (size.height, size.width)
    found = forecast_contrast(config, classes=size.classes, images=size.batch, map_size=shape, device=device)
    return float(found.peak - found.bank)


class Meter:
    """Seconds and peak bytes of work on one device."""

    def __init__(self, device: str) -> None:
        self.device = device
        self.base = self.peak()

    def peak(self) -> float:
        """Highest memory of this process so far, bytes."""
        if self.device == "cuda":
            torch.cuda.synchronize()
            return float(torch.cuda.max_memory_allocated())
        return float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)

    def above(self) -> float:
        """Peak bytes above the peak when the meter was created."""
        return self.peak() - self.base

    def seconds(self, work: Callable[[], object]) -> float:
        """Seconds that `work` takes on the GPU, or CPU seconds of all threads."""
        if self.device == "cpu":
            began = time.process_time()
            work()
            return time.process_time() - began
        torch.cuda.synchronize()
        began = time.perf_counter()
        work()
        torch.cuda.synchronize()
        return time.perf_counter() - began


def measure_ours(device: str, threads: int, size: Size, mining: MiningConfig, repeats: int) -> tuple[float, float]:
    """Median seconds of forward, backward and push, and peak bytes above the inputs (bank and mini-batch)."""
    torch.set_num_threads(threads)
    module, (embedding_BDhw, label_BHW, prediction_BHW), generator = scene(size, mining, device)
    meter = Meter(device)

    def step() -> None:
        embedding_BDhw.grad = None
        module(embedding_BDhw, label_BHW, prediction_BHW, generator=generator).loss.backward()
        module.push(embedding_BDhw.detach(), label_BHW, generator=generator)

    return statistics.median(meter.seconds(step) for _ in range(repeats)), meter.above()


def measure_loop(device: str, threads: int, size: Size) -> tuple[float, float]:
    """Seconds of forward and backward of the loop over classes with our push, and its peak bytes."""
    torch.set_num_threads(threads)
    module, batch, generator = scene(size, HARDEST, device)
    meter = Meter(device)

    def step() -> None:
        class_by_class(module, batch, HARDEST, generator).backward()  # type: ignore[no-untyped-call]
        module.push(batch[0].detach(), batch[1], generator=generator)

    if device == "cuda":
        step()  # the first call opens CUDA's libraries
    return meter.seconds(step), meter.above()


def check_equal(device: str, threads: int, size: Size) -> None:
    """Raise unless both ways give the same loss and, in Euclidean norm, the same gradient, within tolerances.

    They round differently, so they may choose different candidates if the last one chosen and the first one left out
    are equal up to rounding.
    """
    torch.set_num_threads(threads)
    found = []
    for is_loop in (False, True):
        module, batch, generator = scene(size, HARDEST, device)
        if is_loop:
            loss = class_by_class(module, batch, HARDEST, generator)
        else:
            loss = module(*batch, generator=generator).loss
        found.append((loss.detach(), *torch.autograd.grad(loss, batch[0])))
    torch.testing.assert_close(found[0][0], found[1][0], atol=1e-5, rtol=1e-5)
    apart_by = float((found[0][1] - found[1][1]).norm() / found[1][1].norm())
    if apart_by > GRADIENT_TOLERANCE:
        raise RuntimeError(f"the gradients of the two ways differ by {apart_by:.2g} of their norm")


def measure_share(
    device: str, threads: int, backbone: str, size: Size, steps: int
) -> tuple[float, float, float, float | None]:
    """Median seconds of a plain cross-entropy step, of the contrast alone, and of a step with contrast.

    The contrast alone is the loss, its gradient up to the embedding of the model, and the push. On a GPU also the
    bytes by which the peak of a step with contrast is higher than that of the plain one, without the bank.
    """
    torch.set_num_threads(threads)
    generator = torch.Generator().manual_seed(0)
    shape = (size.batch, 4 * size.height, 4 * size.width)
    batch = Batch(
        torch.rand(shape[0], 3, *shape[1:], generator=generator).to(device),
        torch.randint(0, size.classes, shape, generator=generator).to(device),
    )
    meter, draws = Meter(device), torch.Generator(device).manual_seed(0)
    plain, contrastive = (step_of(backbone, size, source, device) for source in ("none", "inter_image"))
    with torch.no_grad():
        output = contrastive.model(batch.image_B3HW)
    embedding_BDhw, prediction_BHW = output.embedding_BDhw.requires_grad_(), output.logits_BCHW.argmax(dim=1)
    module = contrastive.contrast

    def alone(_number: int) -> None:
        embedding_BDhw.grad = None
        module(embedding_BDhw, batch.label_BHW, prediction_BHW, generator=draws).loss.backward()
        module.push(embedding_BDhw.detach(), batch.label_BHW, generator=draws)

    ways: list[Callable[[int], object]] = [
        lambda number: plain(batch, number),
        alone,
        lambda number: contrastive(batch, number),
    ]
    seconds: list[list[float]] = [[] for _ in ways]
    for number in range(steps + 1):  # the first of each warms up
        for way, taken in zip(ways, seconds, strict=True):
            taken.append(meter.seconds(lambda way=way, number=number: way(number)))
    first, second, third = (statistics.median(taken[1:]) for taken in seconds)
    if device == "cpu":
        return first, second, third, None
    peaks = []
    for way in (ways[0], ways[2]):
        torch.cuda.reset_peak_memory_stats()
        way(steps + 1)
        peaks.append(meter.peak())
    return first, second, third, peaks[1] - peaks[0]


def step_of(backbone: str, size: Size, source: Any, device: str) -> TrainStep:
    """A training step with a full bank, or a step of its baseline."""
    config = TrainConfig(
        model=ModelConfig(backbone=backbone, head="hrnet"),
        contrast=replace(contrast_of(size, SEMI_HARD), source=source),
        optim=OptimConfig(),
        schedule=ScheduleConfig(batch_size=size.batch),
    ).normalised()
    module = None
    if source != "none":
        module = PixelContrast(config.contrast, size.classes).to(device)
        fill(module, torch.Generator(device).manual_seed(0))
    model = build_segmentor(config.model, config.contrast, classes=size.classes, seed=0).train().to(device)
    return TrainStep(config, model, module, build_optimizer(model, config.optim), torch.device(device))


def apart(pool: Executor, function: Callable[..., Any], device: str, *arguments: Any) -> Any:
    """Call `function` in the pool; on a GPU, whose peak can be reset, in this process, with nothing allocated."""
    if device == "cuda":
        gc.collect()
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        return function(device, *arguments)
    return pool.submit(function, device, *arguments).result()


if __name__ == "__main__":
    sys.exit(main())
