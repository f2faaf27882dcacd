"""Training images per second that a loader delivers to a GPU, at Cityscapes size.

Crops of 512x1024 from PNG files of 2048x1024 pixels: from the decoded cache with 0, 1 and 2 loader threads, as 8-bit
pixels for the GPU beside the float32 batches of a trial on a CPU, and decoding each time. On a GPU, images are
delivered when they are finished there, and the training split in its memory is measured, too. On a CPU memory is not
pinned, and nothing is uploaded or finished: only the host's work for a GPU is measured. Wall seconds; the ways take
turns, medians count.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from pathlib import Path

import torch
from PIL import Image

from benchmarks.report import Figure, information
from trainer.config import DataConfig, SyntheticConfig
from trainer.data.files.folder import Folder
from trainer.data.loading.batches import TrainBatches
from trainer.data.loading.device import PixelBatch
from trainer.data.loading.loader import AHEAD, CPU, Loader
from trainer.data.loading.read_ahead import read_ahead
from trainer.data.reading.cache import DecodedCache
from trainer.data.source import Source
from trainer.data.synthetic.dataset import Synthetic

__all__ = ["measure_feed"]

SEED = 0
BATCH_SIZE = 8
THREADS = (0, 1, 2)

Feed = Callable[[int, int], object]
"""Makes a number of batches from a first step on."""


def measure_feed(folder: Path, device: torch.device, *, quick: bool) -> list[Figure]:
    """The figures, in images per second."""
    images, size, crop, steps, repeats = (
        (2, (64, 128), (32, 64), 1, 1) if quick else (16, (1024, 2048), (512, 1024), 4, 3)
    )
    root = draw_folder(folder / "set", images, size)
    cached, decoding = (
        Folder(root, cache=cache) for cache in (DecodedCache(folder / "cache", 10**12), DecodedCache(None, 0))
    )
    cached.read("train", 0)
    config = DataConfig(name="folder", root=str(root), crop=crop, color_jitter=0.25)
    torch.set_num_threads(1)
    feeds: dict[str, Feed] = {f"float32, {threads} threads": of_cpu(cached, config, threads) for threads in THREADS}
    feeds |= {f"8-bit, {threads} threads": of_gpu(cached, config, threads, device) for threads in THREADS}
    others: dict[str, Feed] = {
        "8-bit, 1 thread, decoding PNG": of_gpu(decoding, config, 1, device),
        "source rectangle, 0 threads": of_rectangles(cached, config),
    }
    if device.type == "cuda":
        others["training split on the GPU"] = of_resident(cached, config, device)
    speed = speeds(feeds | others, steps, repeats, device)
    what = "finished on the GPU" if device.type == "cuda" else "in memory that is not pinned"
    return [
        *(
            information(
                f"8-bit pixels {what}, {threads} loader threads, beside float32 batches",
                speed[f"8-bit, {threads} threads"],
                speed[f"float32, {threads} threads"],
                unit="images/s",
            )
            for threads in THREADS
        ),
        *(
            information(
                f"{name}, beside float32 batches without threads",
                speed[name],
                speed["float32, 0 threads"],
                unit="images/s",
            )
            for name in others
        ),
    ]


def speeds(feeds: Mapping[str, Feed], steps: int, repeats: int, device: torch.device) -> dict[str, float]:
    """Images per second of each way: the median over `repeats` turns, after one batch to start with."""
    seconds: dict[str, list[float]] = {name: [] for name in feeds}
    for feed in feeds.values():
        feed(0, 1)
    for turn in range(repeats):
        for name, feed in feeds.items():
            finish(device)
            began = time.perf_counter()
            feed(1 + turn * steps, steps)
            finish(device)
            seconds[name].append(time.perf_counter() - began)
    return {name: steps * BATCH_SIZE / statistics.median(found) for name, found in seconds.items()}


def finish(device: torch.device) -> None:
    """Wait for the GPU."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def of_cpu(source: Source, config: DataConfig, threads: int) -> Feed:
    """The batches of a trial on a CPU."""
    batches = TrainBatches(source, config, batch_size=BATCH_SIZE, seed=SEED, loader=Loader(threads=threads))
    return lambda first, steps: exhaust(batches.iterate(first, steps))


def of_gpu(source: Source, config: DataConfig, threads: int, device: torch.device) -> Feed:
    """The batches of a trial on a GPU; on a CPU, what the host does for them."""
    loader = Loader(threads=threads)
    if device.type == "cuda":
        batches = TrainBatches(source, config, batch_size=BATCH_SIZE, seed=SEED, device=device, loader=loader)
        return lambda first, steps: exhaust(batches.iterate(first, steps))
    unfinished = UnfinishedBatches(source, config, batch_size=BATCH_SIZE, seed=SEED, loader=loader)
    return lambda first, steps: exhaust(unfinished.filled(range(first, first + steps)))


class UnfinishedBatches(TrainBatches):
    """Batches of 8-bit pixels that are not finished."""

    def empty(self) -> PixelBatch:
        """As for a GPU."""
        return PixelBatch(self.part, self.config.crop, CPU)

    def filled(self, order: range) -> Iterable[object]:
        """The batch of each sample, once the sample is in it."""
        ahead = AHEAD * self.part
        with closing(read_ahead(self.fill, self.places(order), threads=self.loader.threads, ahead=ahead)) as filled:
            yield from filled


def of_resident(source: Source, config: DataConfig, device: torch.device) -> Feed:
    """The batches that the GPU makes of the training split in its memory, which is uploaded before the first one."""
    loader = Loader(resident_bytes=1)
    batches = TrainBatches(source, config, batch_size=BATCH_SIZE, seed=SEED, device=device, loader=loader)
    endless = batches.iterate(0, 10**9)
    return lambda _, steps: [next(endless) for _ in range(steps)]


def of_rectangles(source: Source, config: DataConfig) -> Feed:
    """Only what every way needs of an image: its rectangle of the source, copied."""
    batches = TrainBatches(source, config, batch_size=BATCH_SIZE, seed=SEED)

    def feed(first: int, steps: int) -> None:
        for step in range(first, first + steps):
            for sample in batches.samples(step):
                image_HW3, label_HW = source.read(config.train_split, sample.image)
                height, width = label_HW.shape
                draw = batches.draw(height, width, sample)
                part = (draw.rows.source, draw.columns.source)
                image_HW3[part].copy()
                label_HW[part].copy()

    return feed


def exhaust(items: Iterable[object]) -> None:
    """Iterate over all items."""
    for _ in items:
        pass


def draw_folder(root: Path, images: int, size: tuple[int, int]) -> Path:
    """Synthetic streets of `size` = (height, width) as PNG files in the layout of the data set `folder`."""
    height, width = size
    streets = Synthetic(SyntheticConfig(train_images=images, height=height, width=width))
    for kind in ("images", "labels"):
        (root / kind / "train").mkdir(parents=True)
    names = "\n".join(("names:", *(f"  - {name}" for name in streets.class_names)))
    (root / "classes.yaml").write_text(f"{names}\n", encoding="utf-8")
    for index, stem in enumerate(streets.stems("train")):
        for kind, pixels in zip(("images", "labels"), streets.read("train", index), strict=True):
            Image.fromarray(pixels).save(root / kind / "train" / f"{stem}.png", compress_level=1)
    return root
