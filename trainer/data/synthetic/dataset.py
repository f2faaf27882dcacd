"""The built-in data set: random street scenes with CamVid's classes and about its class shares.

It needs no files and no licence, so that every search space runs anywhere. The test split shows the street at dusk.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict
from itertools import repeat

import numpy as np
from numpy.random import Generator

from trainer.config import SyntheticConfig
from trainer.data.census import count_pair
from trainer.data.files.camvid import CLASS_NAMES, PALETTE
from trainer.data.reading.decode import frozen
from trainer.data.source import IGNORE_INDEX, Examined, Pair
from trainer.data.synthetic.canvas import BLOTCH, CLASS_ID, GRAIN, Canvas, Floats, Street, Textures
from trainer.data.synthetic.scenery import draw_backdrop
from trainer.data.synthetic.street_objects import draw_objects
from trainer.errors import DataError
from trainer.seeding import stream_seed

__all__ = ["GENERATOR_VERSION", "Synthetic"]

GENERATOR_VERSION = 1
"""Increased by hand whenever equal configs would give other pixels; part of the digest."""

CACHE_BYTES = 256 * 2**20
VOID_SHARE = 0.3
"""Approximate share of void among the pixels at class borders."""


class Synthetic:
    """Splits `train`, `val` and `test` with the sizes in `config`; pixels depend on (seed, split, index) only.

    Each process keeps up to 256 MiB of drawn pairs in memory.
    """

    title = "Synthetic scenes"
    class_names = CLASS_NAMES
    palette = PALETTE
    splits = ("train", "val", "test")
    unlabelled: frozenset[str] = frozenset()

    def __init__(self, config: SyntheticConfig) -> None:
        self.config = config
        self._sizes = {"train": config.train_images, "val": config.val_images, "test": config.test_images}
        self._textures = Textures(stream_rng(config.seed, "texture"), config.height, config.width)
        self._drawn: dict[tuple[str, int], Pair] = {}

    def size(self, split: str) -> int:
        """Number of pairs in `split`. Raises DataError if there is no such split."""
        if split not in self._sizes:
            raise DataError(f"synthetic: no split {split!r}; choose {', '.join(self._sizes)}")
        return self._sizes[split]

    def stems(self, split: str) -> tuple[str, ...]:
        """`train_0000`, `train_0001`, ..."""
        return tuple(f"{split}_{index:04d}" for index in range(self.size(split)))

    def sizes(self, split: str) -> Iterator[tuple[int, int]]:
        """Width and height of each image."""
        return repeat((self.config.width, self.config.height), self.size(split))

    def read(self, split: str, index: int) -> Pair:
        """Pair `index` of `split`: read-only `image_HW3` and `label_HW`. Raises IndexError outside 0..size-1."""
        if not 0 <= index < self.size(split):
            raise IndexError(f"synthetic: {split} has no pair {index}")
        pair = self._drawn.get((split, index))
        if pair is None:
            rng = stream_rng(self.config.seed, split, index)
            pair = draw_scene(rng, self._textures, dusk=split == "test")
            if (len(self._drawn) + 1) * sum(pixels.nbytes for pixels in pair) <= CACHE_BYTES:
                self._drawn[split, index] = pair
        return pair

    def parts(self, split: str) -> tuple[str, ...]:
        """The split itself. Raises DataError if there is no such split."""
        self.size(split)
        return (split,)

    def examine(self, split: str) -> Iterator[tuple[str, Examined | DataError]]:
        """Every pair; none has errors."""
        for index, stem in enumerate(self.stems(split)):
            pair = self.read(split, index)
            yield stem, Examined(pair=pair, facts=count_pair(pair, mode="RGB", turned=False))

    def digest(self) -> str:
        """SHA-256 over the generator's version and its configuration, hexadecimal."""
        facts = {"generator": GENERATOR_VERSION, **asdict(self.config)}
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()

    def signature(self) -> str:
        """The digest, since there are no files."""
        return self.digest()

    def check_layout(self) -> None:
        """Does nothing, since there are no files."""

    def __getstate__(self) -> dict[str, object]:
        """Everything except the drawn pairs; another process draws its own."""
        return {**self.__dict__, "_drawn": {}}


def stream_rng(seed: int, *names: str | int) -> Generator:
    """A NumPy generator for the random stream `names`."""
    return np.random.Generator(np.random.PCG64(stream_seed(seed, "synthetic", *names)))


def draw_scene(rng: Generator, textures: Textures, *, dusk: bool) -> Pair:
    """One street with its label, both uint8 and read-only."""
    canvas = Canvas(rng, textures, Street.draw(rng, textures.height, textures.width))
    draw_backdrop(canvas)
    draw_objects(canvas)
    roughen(canvas)
    light(canvas, dusk=dusk)
    forget_borders(canvas)
    if rng.uniform() < 0.35:
        draw_bonnet(canvas)
    image_HW3 = (np.clip(expose(canvas, dusk=dusk), 0, 1) * 255 + np.float32(0.5)).astype(np.uint8)
    return frozen(image_HW3, canvas.label_HW)


def roughen(canvas: Canvas) -> None:
    """Add texture: the same noise for all classes, with a strength per class."""
    grain_HW = GRAIN[canvas.label_HW] * canvas.window("grain")
    blotch_HW = BLOTCH[canvas.label_HW] * canvas.window("blotch")
    canvas.image_HW3 *= (1 + grain_HW + blotch_HW)[..., None]


def light(canvas: Canvas, *, dusk: bool) -> None:
    """Apply sunlight or dusk: colour and strength of the light, and shade on one side of the street."""
    rng = canvas.rng
    strength = rng.uniform(0.42, 0.75) if dusk else rng.uniform(0.75, 1.25)
    warmth = rng.uniform(-0.12, 0.02) if dusk else rng.uniform(-0.06, 0.10)
    colour = np.array([1 + warmth, 1.0, 1 - warmth], dtype=np.float32) * np.float32(strength)
    border = canvas.street.vanishing + rng.uniform(-0.4, 0.4) * canvas.width
    shade = rng.uniform(0.75, 1.0) if dusk else rng.uniform(0.5, 1.0)
    slope = np.float32(rng.uniform(-1.5, 1.5))
    side_HW = (canvas.column_1W - np.float32(border)) + slope * (canvas.row_H1 - np.float32(canvas.street.horizon))
    shaded_HW = ((side_HW > 0) == (rng.uniform() < 0.5)) & (canvas.label_HW != CLASS_ID["sky"])
    canvas.image_HW3 *= colour * np.where(shaded_HW, np.float32(shade), np.float32(1))[..., None]


def forget_borders(canvas: Canvas) -> None:
    """Set some pixels along class borders to void, like human annotators."""
    label_HW = canvas.label_HW
    border_HW = np.zeros(label_HW.shape, dtype=np.bool_)
    border_HW[:, 1:] |= label_HW[:, 1:] != label_HW[:, :-1]
    border_HW[1:] |= label_HW[1:] != label_HW[:-1]
    label_HW[border_HW & (canvas.window("leaf") > 1 - 2 * VOID_SHARE)] = IGNORE_INDEX


def draw_bonnet(canvas: Canvas) -> None:
    """Draw the bonnet of the camera's car at the lower edge, which is void as in CamVid."""
    rng = canvas.rng
    height, middle = canvas.height * rng.uniform(0.04, 0.12), canvas.width * rng.uniform(0.35, 0.65)
    bulge_1W = 1 - ((canvas.column_1W - np.float32(middle)) / np.float32(0.62 * canvas.width)) ** 2
    mask_HW = canvas.row_H1 > canvas.height - np.float32(height) * bulge_1W
    canvas.tint(canvas.whole, mask_HW, np.full(3, rng.uniform(0.03, 0.2), dtype=np.float32))
    canvas.label_HW[mask_HW] = IGNORE_INDEX


def expose(canvas: Canvas, *, dusk: bool) -> Floats:
    """Simulate the camera: a soft lens, a contrast curve, haze, and more noise at dusk."""
    rng, image_HW3 = canvas.rng, canvas.image_HW3
    soft_HW3 = image_HW3.copy()
    soft_HW3[:, 1:-1] += (
        np.float32(0.35) * (image_HW3[:, :-2] + image_HW3[:, 2:] - 2 * image_HW3[:, 1:-1]) * np.float32(0.5)
    )
    soft_HW3[1:-1] += np.float32(0.35) * (image_HW3[:-2] + image_HW3[2:] - 2 * image_HW3[1:-1]) * np.float32(0.5)
    curve = np.float32(rng.uniform(-0.25, 0.35))
    soft_HW3 += curve * soft_HW3 * (1 - soft_HW3)
    sigma = np.float32(rng.uniform(0.02, 0.05) if dusk else rng.uniform(0.005, 0.03))
    noise_HW3 = np.stack([canvas.window("grain") for _ in range(3)], axis=-1)
    return np.asarray(soft_HW3 + sigma * noise_HW3 + np.float32(rng.uniform(0, 0.04)), dtype=np.float32)
