"""Training batches on one core, beside the usual first implementation: PIL and torchvision's v1 transforms.

    python -m benchmarks.data [--root PATH] [--images 96] [--repeats 3] [--json OUT] [--quick]
    python -m benchmarks.data --gpu-feed [--device cuda] [--json OUT] [--quick]

Both make the same batches from the same draws: random scale, crop, flip, colour jitter, float32 in 0..1 (the model
normalises). Ours reads the decoded cache and augments each crop in its place in the batch. The other is a torch
DataLoader whose samples decode JPEG and PNG each time, resize the whole image, crop it, jitter it as an 8-bit PIL image
and convert it to a tensor. Without `--root` a look-alike of CamVid (480x360, JPEG quality 90 and PNG labels) is drawn
from the synthetic scenes. Seconds are CPU seconds of a single thread, which other work on the machine disturbs little.
`--gpu-feed` measures what loader threads deliver instead (benchmarks/gpu_feed.py).
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import TypeAlias

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import functional as v1

from benchmarks.gpu_feed import measure_feed
from benchmarks.report import DEVICES, Figure, at_least, command_line, parse, publish
from orchestrator.machine.own_folder import temporary_folder
from trainer.config import DataConfig, SyntheticConfig
from trainer.data.files.camvid import CamVid
from trainer.data.loading.batches import TrainBatches, epoch_order
from trainer.data.loading.draws import between
from trainer.data.loading.transforms import PAD_GREY
from trainer.data.reading.cache import DecodedCache
from trainer.data.reading.listing import FilePair
from trainer.data.source import IGNORE_INDEX
from trainer.data.synthetic.dataset import Synthetic
from trainer.seeding import stream_seed

GOAL = 5.0
SEED = 0
HEIGHT, WIDTH = 360, 480
CROP = (256, 256)
RECIPES = {
    "camvid_lite0": (4, DataConfig(crop=(160, 208), scale=(0.75, 2.0), color_jitter=0.1)),
    "camvid_hrnet_w48": (16, DataConfig(crop=(352, 480), scale=(0.5, 2.0), color_jitter=0.25)),
}
"""Batch size and augmentation of two recipes."""
CHECKED = 24
"""Samples that are compared before anything is timed."""
PLAIN_TOLERANCE, JITTER_TOLERANCE, LABEL_TOLERANCE = 0.02, 0.03, 0.03
"""Allowed means over samples with equal draws, one cropped before resizing and one after: difference of pixels (0..1)
without and with jitter (PIL's contrast jitter also counts the grey padding), and share of labels that differ, which do
so along edges."""

Batches: TypeAlias = Iterable[tuple[Tensor, Tensor]]
"""Images (B, 3, h, w), 0..1, and labels (B, h, w)."""


def main() -> int:
    """Measure, print and write; returns 1 if a goal is missed."""
    parser = command_line(__doc__, DEVICES)
    parser.add_argument("--root", type=Path, help="CamVid at 480x360; default: a look-alike, drawn for the run")
    parser.add_argument("--images", type=int, default=96, help="images of the look-alike (default: 96)")
    parser.add_argument("--repeats", type=int, default=3, help="epochs of each way; the median counts (default: 3)")
    parser.add_argument("--gpu-feed", action="store_true", help="images per second for a GPU, at Cityscapes size")
    given = parse(parser)
    if given.gpu_feed:
        with temporary_folder("benchmark") as folder:
            figures = measure_feed(folder, torch.device(given.device), quick=given.quick)
        return 0 if publish(figures, given.json) else 1
    images, repeats = (3, 1) if given.quick else (given.images, given.repeats)
    torch.set_num_threads(1)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    with temporary_folder("benchmark") as folder:
        root = given.root or draw_camvid(folder / "camvid", images)
        figures = measure(root, DecodedCache(folder / "cache", 10**12), repeats, counts=not given.quick)
    return 0 if publish(figures, given.json) else 1


def measure(root: Path, cache: DecodedCache, repeats: int, *, counts: bool) -> list[Figure]:
    """The figures in seconds per image; both ways visit the same samples with the same draws."""
    cached, decoding = CamVid(root, cache=cache), CamVid(root, cache=DecodedCache(None, 0))
    began = time.process_time()
    cached.read("train", 0)
    build = time.process_time() - began
    build /= cached.size("train")
    files = cached.list_part("train").pairs
    figures = []
    for recipe, (batch_size, config) in RECIPES.items():
        check_equal(cached, files, config)
        steps = max(1, len(files) // batch_size)
        ours, beside = compare(
            lambda number, size=batch_size, config=config, steps=steps: of_cache(cached, config, size, number, steps),
            lambda number, size=batch_size, config=config, steps=steps: of_files(files, config, size, number, steps),
            repeats,
        )
        name = f"a training image, as {recipe} crops it to {config.crop[0]}x{config.crop[1]}"
        images = steps * batch_size
        figures.append(at_least(name, ours / images, beside / images, GOAL, counts=counts))
    ours, beside = compare(lambda number: crops(cached, number), lambda number: crops(decoding, number), repeats)
    ours, beside = ours / len(files), beside / len(files)
    name = "reading and cropping 256x256 alone, from the cache and decoding"
    figures.append(Figure(figure=name, ours=ours, beside=beside, ratio=beside / ours))
    name = "building the cache, once per machine, per image, beside decoding it once"
    return [*figures, Figure(figure=name, ours=build, beside=beside, ratio=build / beside)]


def compare(
    ours: Callable[[int], Iterable[object]], beside: Callable[[int], Iterable[object]], repeats: int
) -> tuple[float, float]:
    """Median seconds of epochs 0, 1, ... of two ways, which alternate."""
    seconds = [(exhaust(ours(number)), exhaust(beside(number))) for number in range(repeats)]
    return statistics.median(first for first, _ in seconds), statistics.median(second for _, second in seconds)


def exhaust(items: Iterable[object]) -> float:
    """CPU seconds to iterate over all items."""
    began = time.process_time()
    for _ in items:
        pass
    return time.process_time() - began


def of_cache(source: CamVid, config: DataConfig, batch_size: int, number: int, steps: int) -> Batches:
    """The batches of `steps` steps from `number * steps` on, as training gets them."""
    for batch in TrainBatches(source, config, batch_size=batch_size, seed=SEED).iterate(number * steps, steps):
        yield batch.image_B3HW, batch.label_BHW


def of_files(files: Sequence[FilePair], config: DataConfig, batch_size: int, number: int, steps: int) -> Batches:
    """The same batches by torch's DataLoader, PIL and torchvision's v1 functions."""
    numbers = range(number * steps * batch_size, (number + 1) * steps * batch_size)
    batches: Batches = DataLoader(PilSamples(files, config), batch_size, sampler=numbers)
    return batches


class PilSamples(Dataset[tuple[Tensor, Tensor]]):
    """Sample number -> image (3, h, w) and label (h, w), from the same draws as ours."""

    def __init__(self, files: Sequence[FilePair], config: DataConfig) -> None:
        self.files, self.config = files, config

    def __getitem__(self, number: int) -> tuple[Tensor, Tensor]:
        config, epoch = self.config, number // len(self.files)
        pair = self.files[epoch_order(SEED, epoch, len(self.files))[number % len(self.files)]]
        with Image.open(pair.image) as image_file, Image.open(pair.label) as label_file:
            image, label = image_file.convert("RGB"), label_file.copy()
        random = Random(stream_seed(SEED, "augment", number))
        scale = between(random, *config.scale)
        height, width = round(image.height * scale), round(image.width * scale)
        start = draw_start(random, height, config.crop[0]), draw_start(random, width, config.crop[1])
        flip = random.random() < config.flip_probability
        grey = round(PAD_GREY * 255)
        image = cut(image.resize((width, height), Image.Resampling.BILINEAR), start, config.crop, (grey, grey, grey))
        label = cut(label.resize((width, height), Image.Resampling.NEAREST), start, config.crop, IGNORE_INDEX)
        if flip:
            image, label = v1.hflip(image), v1.hflip(label)
        image = jittered(image, random, config.color_jitter)
        image_3hw: Tensor = v1.to_tensor(image)
        return image_3hw, torch.from_numpy(np.array(label, dtype=np.int64))


def draw_start(random: Random, side: int, crop: int) -> int:
    """Where a crop begins on a side; negative if the side is shorter than the crop and is placed at random in it."""
    slack = side - crop
    return min(slack, 0) + int(random.random() * (abs(slack) + 1))


def cut(image: Image.Image, start: tuple[int, int], crop: tuple[int, int], fill: int | tuple[int, ...]) -> Image.Image:
    """The crop of a resized image, padded if the image is smaller."""
    (top, left), (height, width) = start, crop
    padding = [max(0, -left), max(0, -top), max(0, left + width - image.width), max(0, top + height - image.height)]
    if any(padding):
        image = v1.pad(image, padding, fill=fill)
    return v1.crop(image, max(0, top), max(0, left), height, width)


def jittered(image: Image.Image, random: Random, strength: float) -> Image.Image:
    """The ColorJitter of torchvision, with given draws."""
    changes = [
        (random.random(), change, between(random, 1 - strength, 1 + strength))
        for change in (v1.adjust_brightness, v1.adjust_contrast, v1.adjust_saturation)
    ]
    for _, change, factor in sorted(changes, key=lambda item: item[0]):
        image = change(image, factor)
    return image


def crops(source: CamVid, number: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """A random crop of every image, copied out of the image, in a random order that `number` seeds."""
    random = Random(number)
    order = list(range(source.size("train")))
    random.shuffle(order)
    for index in order:
        image_HW3, label_HW = source.read("train", index)
        top, left = (
            random.randrange(max(1, side - length + 1)) for side, length in zip(label_HW.shape, CROP, strict=True)
        )
        part = (slice(top, top + CROP[0]), slice(left, left + CROP[1]))
        yield image_HW3[part].copy(), label_HW[part].copy()


def check_equal(source: CamVid, files: Sequence[FilePair], config: DataConfig) -> None:
    """Raise unless the cache holds the pixels of the files and both ways make the same samples, within tolerances."""
    for index, pair in enumerate(files):
        for left, right in zip(source.read("train", index), source.decode(pair), strict=True):
            if not np.array_equal(left, right):
                raise RuntimeError(f"pair {index} differs between the cache and its files")
    for strength, tolerance in ((0.0, PLAIN_TOLERANCE), (config.color_jitter, JITTER_TOLERANCE)):
        drawn = replace(config, color_jitter=strength)
        (ours,), (beside,) = of_cache(source, drawn, CHECKED, 0, 1), of_files(files, drawn, CHECKED, 0, 1)
        shown_Bhw = ours[1] != IGNORE_INDEX
        off_3Bhw = (ours[0] - beside[0]).abs().transpose(0, 1)
        off, wrong = float(off_3Bhw[:, shown_Bhw].mean()), float((ours[1] != beside[1]).float().mean())
        if off > tolerance or wrong > LABEL_TOLERANCE:
            raise RuntimeError(
                f"jitter {strength}: pixels differ by {off:.4f} on average, {wrong:.2%} of the labels differ"
            )


def draw_camvid(root: Path, images: int) -> Path:
    """Synthetic streets in CamVid's split folders and file formats."""
    streets = Synthetic(SyntheticConfig(train_images=images, val_images=1, test_images=1, height=HEIGHT, width=WIDTH))
    for split in streets.splits:
        for kind in ("images", "labels"):
            (root / split / kind).mkdir(parents=True)
        for index, stem in enumerate(streets.stems(split)):
            image_HW3, label_HW = streets.read(split, index)
            Image.fromarray(image_HW3).save(root / split / "images" / f"{stem}.jpg", quality=90, subsampling=0)
            Image.fromarray(label_HW).save(root / split / "labels" / f"{stem}.png")
    return root


if __name__ == "__main__":
    sys.exit(main())
