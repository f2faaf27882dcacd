"""Small data sets of users, one for each way to read files that only a description can ask for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from trainer.testing.look_alikes import stripes, write_image, write_png

__all__ = ["OWN_DATA"]

STEMS = tuple("abcdef")
NAMES = "names: [road, car, tree]\n"
FILES = "images: images/*.{png,tif,npy}\nlabels: labels/{stem}.*\nsplits: {train: [a, b, c, d], val: [e, f]}\n"


def write_array(path: Path, values: np.ndarray) -> None:
    """Write a `.npy` file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, values)


def sixteen_bits(root: Path) -> str:
    """Grey images and ids of 16 bits."""
    for seed, stem in enumerate(STEMS):
        write_png(root / f"images/{stem}.tif", np.random.default_rng(seed).integers(0, 4096, (8, 12)), np.uint16)
        write_png(root / f"labels/{stem}.png", stripes(100, 300, 65535, 2 + 298 * (seed % 2)), np.uint16)
    return f"{NAMES}{FILES}map: {{100: road, 300: car, 2: tree}}\nignore: [65535]\nimage_range: [100, 4000]\n"


def colours(root: Path) -> str:
    """Labels with the colours of the palette, some of them in palette images."""
    palette = np.array([[128, 64, 128], [0, 0, 142], [107, 142, 35], [0, 0, 0]], dtype=np.uint8)
    for seed, stem in enumerate(STEMS):
        write_image(root / f"images/{stem}.png", seed)
        label = Image.fromarray(palette[stripes(0, 1, 3, 2 - seed % 2)])
        (root / "labels").mkdir(exist_ok=True)
        (label.quantize(8) if seed % 2 else label).save(root / f"labels/{stem}.png")
    shown = [colour.tolist() for colour in palette[:3]]
    return f"{NAMES}{FILES}palette: {shown}\nmap: palette\nignore: [0 0 0]\n"


def arrays(root: Path) -> str:
    """Images of five channels of floating point, and labels with a negative id."""
    for seed, stem in enumerate(STEMS):
        values = np.random.default_rng(seed).normal(size=(8, 12, 5)).astype(np.float32)
        write_array(root / f"images/{stem}.npy", values)
        write_array(root / f"labels/{stem}.npy", stripes(0, 1, -1, 2 - seed % 2).astype(np.int32))
    return f"{NAMES}{FILES}ignore: [-1]\nimage_range: [-2, 2]\nchannels: [3, 2, 0]\n"


def mapped(root: Path) -> str:
    """Several ids of one class, and all others void."""
    for seed, stem in enumerate(STEMS):
        write_image(root / f"images/{stem}.png", seed)
        write_png(root / f"labels/{stem}.png", stripes(7, 26, 27, 21, 33 + seed))
    return f"{NAMES}{FILES}map: {{7: road, 26: car, 27: car, 21: tree}}\nignore: others\n"


def reduced(root: Path) -> str:
    """Ids from 1, 0 is void."""
    for seed, stem in enumerate(STEMS):
        write_image(root / f"images/{stem}.png", seed)
        write_png(root / f"labels/{stem}.png", stripes(0, 1, 2, 3 - seed % 2))
    return f"{NAMES}{FILES}reduce_zero_label: true\n"


def shares(root: Path) -> str:
    """Splits by shares with a seed, of whole folders."""
    for seed, stem in enumerate(STEMS * 2):
        place = f"scan{seed // 2}/{stem}"
        write_image(root / f"images/{place}.png", seed)
        write_png(root / f"labels/{place}.png", stripes(0, 1, 255, 2 - seed % 2))
    return (
        f"{NAMES}images: images/*/*.png\nlabels: labels/{{folder}}/{{stem}}.png\ngroup: folder\n"
        "splits: {train: 0.6, val: 0.4, seed: 3}\n"
    )


OWN_DATA: Mapping[str, Callable[[Path], str]] = {
    "sixteen bits": sixteen_bits,
    "colours": colours,
    "arrays": arrays,
    "map and ignore": mapped,
    "reduce_zero_label": reduced,
    "shares": shares,
}
"""Each writes its files below a folder and returns the description."""
