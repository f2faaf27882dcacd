"""Training samples of one core, beside what people write first: PIL and torchvision's v1 transforms.

    python -m benchmarks.data [--root PATH] [--images 96] [--repeats 3] [--json OUT] [--quick]

Both ways make the same samples from the same draws: random scale, crop, flip, colour jitter, normalised float32. Ours
reads the decoded cache and augments the crop in place; the other decodes JPEG and PNG each time, resizes the whole
image, crops it, jitters it as an 8-bit PIL image, and makes a tensor of it. Without `--root` a look-alike of CamVid
(480x360, JPEG quality 90 and PNG labels) is drawn from the synthetic street.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import TypeAlias

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms import functional as v1

from benchmarks.device import command_line, parse
from benchmarks.report import Figure, at_least, publish
from trainer.config import DataConfig, SyntheticConfig
from trainer.data.base import IGNORE_INDEX
from trainer.data.cache import DecodedCache
from trainer.data.camvid import CamVid
from trainer.data.listing import FilePair
from trainer.data.synthetic import Synthetic
from trainer.data.transforms import PAD_GREY, augment, between

GOAL = 5.0
HEIGHT, WIDTH = 360, 480
CROP = (256, 256)
MEAN_3, STD_3 = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
RECIPES = {
    "camvid_lite0's crop of 160x208": DataConfig(crop=(160, 208), scale=(0.75, 2.0), color_jitter=0.1),
    "camvid_hrnet_w48's crop of 352x480": DataConfig(crop=(352, 480), scale=(0.5, 2.0), color_jitter=0.25),
}
"""The augmentation of two recipes."""
CHECKED = 24
"""Samples that are compared before anything is timed."""
PLAIN_TOLERANCE, JITTER_TOLERANCE, LABEL_TOLERANCE = 0.02, 0.03, 0.03
"""Means over samples with equal draws, one cropped before it is resized and one after: difference of their pixels,
0..1, without and with jitter (the other one's grey padding is part of its contrast), and share of labels that are not
the same, along edges."""

Sample: TypeAlias = Callable[[int, int], tuple[Tensor, Tensor]]
"""From the index of an image and the number of a sample, which seeds its draws."""


def main() -> int:
    """Measure, print, write; 1 when a goal is missed."""
    parser = command_line(__doc__)
    parser.add_argument("--root", type=Path, help="CamVid at 480x360; default: a look-alike, drawn now")
    parser.add_argument("--images", type=int, default=96, help="images of the look-alike (default: 96)")
    parser.add_argument("--repeats", type=int, default=3, help="epochs of each kind; the median counts (default: 3)")
    given = parse(parser)
    images, repeats = (3, 1) if given.quick else (given.images, given.repeats)
    torch.set_num_threads(1)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    with tempfile.TemporaryDirectory() as folder:
        root = given.root or draw_camvid(Path(folder) / "camvid", images)
        figures = measure(root, DecodedCache(Path(folder) / "cache", 10**12), repeats, counts=not given.quick)
    return 0 if publish(figures, given.json) else 1


def measure(root: Path, cache: DecodedCache, repeats: int, *, counts: bool) -> list[Figure]:
    """The figures, in seconds per image; both ways visit the same samples with the same draws."""
    cached, decoding = CamVid(root, cache=cache), CamVid(root, cache=DecodedCache(None, 0))
    began = time.perf_counter()
    cached.read("train", 0)
    images = cached.size("train")
    build = (time.perf_counter() - began) / images
    files = cached.list_part("train").pairs
    figures = []
    for name, config in RECIPES.items():
        check_equal(cached, files, config)
        ours, beside = compare(of_cache(cached, config), of_files(files, config), images, repeats)
        figures.append(at_least(f"a training sample, {name}, seconds", ours, beside, GOAL, counts=counts))
    ours, beside = compare(crop_of(cached), crop_of(decoding), images, repeats)
    name = "reading and cropping 256x256 alone, from the cache and decoding, seconds"
    figures.append(Figure(figure=name, ours=ours, beside=beside, ratio=beside / ours))
    name = "building the cache, once per machine, per image, beside decoding it once, seconds"
    return [*figures, Figure(figure=name, ours=build, beside=beside, ratio=build / beside)]


def compare(ours: Sample, beside: Sample, images: int, repeats: int) -> tuple[float, float]:
    """Median seconds per image of two ways, whose epochs take turns."""
    seconds = [
        (epoch_seconds(ours, images, number), epoch_seconds(beside, images, number)) for number in range(repeats)
    ]
    return statistics.median(first for first, _ in seconds), statistics.median(second for _, second in seconds)


def epoch_seconds(sample: Sample, images: int, number: int) -> float:
    """Seconds per image of one shuffled epoch."""
    order = list(range(images))
    Random(number).shuffle(order)
    began = time.perf_counter()
    for place, index in enumerate(order):
        sample(index, number * images + place)
    return (time.perf_counter() - began) / images


def of_cache(source: CamVid, config: DataConfig) -> Sample:
    """Ours, normalised as the model does it."""
    mean_311, std_311 = (torch.tensor(values)[:, None, None] for values in (MEAN_3, STD_3))

    def sample(index: int, number: int) -> tuple[Tensor, Tensor]:
        image_3hw, label_hw = augment(source.read("train", index), config, number)
        return image_3hw.sub_(mean_311).div_(std_311), label_hw

    return sample


def of_files(files: Sequence[FilePair], config: DataConfig) -> Sample:
    """The same by PIL and torchvision's v1 functions, from the draws of ours."""

    def sample(index: int, number: int) -> tuple[Tensor, Tensor]:
        with Image.open(files[index].image) as image_file, Image.open(files[index].label) as label_file:
            image, label = image_file.convert("RGB"), label_file.copy()
        random = Random(number)
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
        image_3hw: Tensor = v1.normalize(v1.to_tensor(image), MEAN_3, STD_3)
        return image_3hw, torch.from_numpy(np.array(label, dtype=np.int64))

    return sample


def draw_start(random: Random, side: int, crop: int) -> int:
    """Where a crop begins on a side; negative where the side is shorter and lies at a random place of the crop."""
    slack = side - crop
    return min(slack, 0) + int(random.random() * (abs(slack) + 1))


def cut(image: Image.Image, start: tuple[int, int], crop: tuple[int, int], fill: int | tuple[int, ...]) -> Image.Image:
    """The crop of a resized image, padded where the image is smaller."""
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


def crop_of(source: CamVid) -> Sample:
    """A random crop, copied out of the image."""

    def sample(index: int, number: int) -> tuple[Tensor, Tensor]:
        random = Random(number)
        pair = source.read("train", index)
        top, left = (
            random.randrange(max(1, side - length + 1)) for side, length in zip(pair[1].shape, CROP, strict=True)
        )
        part = (slice(top, top + CROP[0]), slice(left, left + CROP[1]))
        image_HW3, label_HW = (torch.from_numpy(pixels[part].copy()) for pixels in pair)
        return image_HW3, label_HW

    return sample


def check_equal(source: CamVid, files: Sequence[FilePair], config: DataConfig) -> None:
    """Raise unless the cache holds the pixels of the files and both ways make the same samples of them."""
    for index, pair in enumerate(files):
        for left, right in zip(source.read("train", index), source.decode(pair), strict=True):
            if not np.array_equal(left, right):
                raise RuntimeError(f"pair {index} differs between the cache and its files")
    for strength, tolerance in ((0.0, PLAIN_TOLERANCE), (config.color_jitter, JITTER_TOLERANCE)):
        drawn = replace(config, color_jitter=strength)
        ours, beside = of_cache(source, drawn), of_files(files, drawn)
        apart = [differences(ours(place, place), beside(place, place)) for place in range(min(CHECKED, len(files)))]
        off, wrong = (statistics.fmean(values) for values in zip(*apart, strict=True))
        if off > tolerance or wrong > LABEL_TOLERANCE:
            raise RuntimeError(
                f"jitter {strength}: pixels differ by {off:.4f} on average, {wrong:.2%} of the labels differ"
            )


def differences(left: tuple[Tensor, Tensor], right: tuple[Tensor, Tensor]) -> tuple[float, float]:
    """Mean difference of the pixels of two samples that show something, 0..1, and the share of unequal labels."""
    shown_hw = left[1] != IGNORE_INDEX
    off_3hw = (left[0] - right[0]).abs() * torch.tensor(STD_3)[:, None, None]
    return float(off_3hw[:, shown_hw].mean()), float((left[1] != right[1]).float().mean())


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
