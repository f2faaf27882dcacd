"""Epochs of training samples from the decoded cache against decoding JPEG and PNG each time, on one core.

    python -m benchmarks.data [--root PATH] [--images 96] [--repeats 3] [--json OUT]

Without `--root` it writes a look-alike of CamVid (480x360, JPEG quality 90 and PNG labels) from the synthetic street.
Two figures: reading with random crops, which is what the cache is for, and whole samples with the scaling, flip and
jitter of training, whose work no cache can save.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from PIL import Image

from trainer.config import DataConfig, SyntheticConfig
from trainer.data.base import Pair
from trainer.data.cache import DecodedCache
from trainer.data.camvid import CamVid
from trainer.data.synthetic import Synthetic

GOAL = 5.0
CROP = (256, 256)
HEIGHT, WIDTH = 360, 480


def main() -> int:
    """Measure, print, write; 1 when the goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, help="CamVid at 480x360; default: a look-alike, drawn now")
    parser.add_argument("--images", type=int, default=96, help="images of the look-alike (default: 96)")
    parser.add_argument("--repeats", type=int, default=3, help="epochs of each kind; the median counts (default: 3)")
    parser.add_argument("--json", type=Path, help="write the figures there")
    given = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    with tempfile.TemporaryDirectory() as folder:
        root = given.root or draw_camvid(Path(folder) / "camvid", given.images)
        figures = measure(root, DecodedCache(Path(folder) / "cache", 10**12), given.repeats)
    print(f"{'figure':<58}{'cached':>12}{'decoding':>12}{'ratio':>8}{'goal':>6}")
    for row in figures:
        print(
            f"{row['figure']:<58}{row['ours'] * 1e3:>9.2f} ms{row['beside'] * 1e3:>9.2f} ms{row['ratio']:>7.1f}x"
            + (f"{row['goal']:>5.0f}x" if row["goal"] else "     -")
        )
    if given.json:
        given.json.write_text(json.dumps(figures, indent=1) + "\n")
    return 0 if all(row["held"] for row in figures) else 1


def measure(root: Path, cache: DecodedCache, repeats: int) -> list[dict[str, Any]]:
    """The figures, in seconds per sample; both ways visit the same samples with the same crops."""
    cached, decoding = CamVid(root, cache=cache), CamVid(root, cache=DecodedCache(None, 0))
    images = cached.size("train")
    start = time.perf_counter()
    cached.read("train", 0)
    build = (time.perf_counter() - start) / images
    check_equal(cached, decoding)
    rows = []
    for name, sample, goal in (
        ("read and random crop 256x256", crop, GOAL),
        ("whole training sample (scale, crop, flip, colour jitter)", training_sample(), None),
    ):
        ours, beside = ([], [])
        for number in range(repeats):
            ours.append(epoch_seconds(cached, sample, number) / images)
            beside.append(epoch_seconds(decoding, sample, number) / images)
        rows.append(figure(f"{name}, per sample", statistics.median(ours), statistics.median(beside), goal))
    rows.append(figure("building the cache, once per machine, per image", build, rows[0]["beside"], None))
    return rows


def figure(name: str, ours: float, beside: float, goal: float | None) -> dict[str, Any]:
    """One line of the table; without a goal it is for information."""
    ratio = beside / ours
    return {
        "figure": name,
        "ours": ours,
        "beside": beside,
        "ratio": ratio,
        "goal": goal,
        "held": goal is None or ratio >= goal,
    }


def epoch_seconds(source: CamVid, sample: Callable[[Pair, int], object], number: int) -> float:
    """Time of one shuffled epoch."""
    order = list(range(source.size("train")))
    Random(number).shuffle(order)
    start = time.perf_counter()
    for place, index in enumerate(order):
        sample(source.read("train", index), number * len(order) + place)
    return time.perf_counter() - start


def crop(pair: Pair, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A random crop, copied out of the image as a training sample is."""
    random = Random(seed)
    image_HW3, label_HW = pair
    top, left = (random.randrange(max(1, side - length + 1)) for side, length in zip(label_HW.shape, CROP, strict=True))
    part = (slice(top, top + CROP[0]), slice(left, left + CROP[1]))
    return image_HW3[part].copy(), label_HW[part].copy()


def training_sample() -> Callable[[Pair, int], object]:
    """The augmentation of training on one thread."""
    import torch

    from trainer.data.transforms import augment

    torch.set_num_threads(1)
    config = replace(DataConfig(), crop=CROP)
    return lambda pair, seed: augment(pair, config, seed)


def check_equal(cached: CamVid, decoding: CamVid) -> None:
    """Raise unless both give the same pixels."""
    for index in range(cached.size("train")):
        for left, right in zip(cached.read("train", index), decoding.read("train", index), strict=True):
            if not np.array_equal(left, right):
                raise RuntimeError(f"pair {index} differs between the cache and its files")


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
