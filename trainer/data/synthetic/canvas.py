"""The drawing surface of the synthetic street: camera, textures, painting.

Axes: H W image, h w a box of it. Lengths in the scene are in metres, on the surface in pixels. The camera looks along
the street from `CAMERA_HEIGHT` above the ground. At `scale` pixels per metre, the ground is `CAMERA_HEIGHT * scale`
rows below the horizon, and the distance is `focal / scale` metres.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from trainer.data.files.camvid import CLASS_NAMES
from trainer.data.source import Pixels

__all__ = [
    "BLOTCH",
    "CAMERA_HEIGHT",
    "CLASS_ID",
    "GRAIN",
    "Box",
    "Canvas",
    "Floats",
    "Mask",
    "Street",
    "Textures",
    "rgb",
]

Floats: TypeAlias = NDArray[np.float32]
Mask: TypeAlias = NDArray[np.bool_]

CAMERA_HEIGHT = 1.6
"""Metres above the road."""
CLASS_ID = {name: label for label, name in enumerate(CLASS_NAMES)}

SURFACE = {
    "sky": (0.02, 0.05),
    "building": (0.12, 0.12),
    "pole": (0.10, 0.05),
    "road": (0.13, 0.08),
    "pavement": (0.17, 0.12),
    "tree": (0.40, 0.35),
    "sign": (0.05, 0.08),
    "fence": (0.15, 0.15),
    "car": (0.06, 0.10),
    "pedestrian": (0.14, 0.15),
    "bicyclist": (0.14, 0.15),
}
"""Strength of the fine and the coarse texture of each class, as a share of its reflectance."""

GRAIN, BLOTCH = np.array([SURFACE[name] for name in CLASS_NAMES], dtype=np.float32).T
"""The same by class id, (C,)."""

CELLS = {"grain": 96, "leaf": 40, "blotch": 16, "cloud": 5}
"""Cells of a noise tile per image height."""


class Textures:
    """Noise tiles that all images of a data set share; each use cuts a random window."""

    def __init__(self, rng: Generator, height: int, width: int) -> None:
        self.height, self.width = height, width
        side = 2 * max(height, width)
        self._tiles = {name: noise(rng, side, max(1, round(height / cells))) for name, cells in CELLS.items()}

    def window(self, rng: Generator, name: str) -> Floats:
        """A random (H, W) window of the tile `name` (a key of `CELLS`), values about -1..1."""
        tile = self._tiles[name]
        top = int(rng.integers(tile.shape[0] - self.height + 1))
        left = int(rng.integers(tile.shape[1] - self.width + 1))
        return tile[top : top + self.height, left : left + self.width]


def noise(rng: Generator, side: int, cell: int) -> Floats:
    """Smooth (side, side) noise of mean 0 and peak 1, with knots `cell` pixels apart."""
    knots = rng.uniform(-1, 1, (side // cell + 2, side // cell + 2))
    place = np.arange(side) / cell
    low = place.astype(int)
    part = place - low
    rows = knots[low] * (1 - part)[:, None] + knots[low + 1] * part[:, None]
    smooth = rows[:, low] * (1 - part) + rows[:, low + 1] * part
    return np.asarray(smooth / np.abs(smooth).max(), dtype=np.float32)


@dataclass(frozen=True, slots=True)
class Street:
    """The position of the street: vanishing point in pixels, edges in metres from the camera."""

    horizon: float
    vanishing: float
    focal: float
    kerbs: tuple[float, float]
    """Lateral position of the left (negative) and right kerb."""
    walls: tuple[float, float]
    """Lateral position of the left (negative) and right row of houses."""

    @classmethod
    def draw(cls, rng: Generator, height: int, width: int) -> Street:
        """A random street for an image of `height` by `width`."""
        kerbs = (-rng.uniform(2.6, 6.0), rng.uniform(2.6, 6.0))
        return cls(
            horizon=height * rng.uniform(0.44, 0.56),
            vanishing=width * rng.uniform(0.32, 0.68),
            focal=1.2 * height,
            kerbs=kerbs,
            walls=(kerbs[0] - rng.uniform(1.5, 5.0), kerbs[1] + rng.uniform(1.5, 5.0)),
        )


@dataclass(frozen=True, slots=True)
class Box:
    """The visible part of an object's rectangle, with coordinates relative to the object."""

    place: tuple[slice, slice]
    across: Floats
    """(1, w): from -1 at the left edge to 1 at the right edge."""
    up: Floats
    """(h, 1): from 0 on the ground to 1 at the top."""


class Canvas:
    """Reflectance and label of an image that is being drawn; later objects cover earlier ones."""

    def __init__(self, rng: Generator, textures: Textures, street: Street) -> None:
        self.rng, self.textures, self.street = rng, textures, street
        self.height, self.width = textures.height, textures.width
        self.image_HW3: Floats = np.zeros((self.height, self.width, 3), dtype=np.float32)
        self.label_HW: Pixels = np.zeros((self.height, self.width), dtype=np.uint8)
        self.row_H1: Floats = np.arange(self.height, dtype=np.float32)[:, None] + np.float32(0.5)
        self.column_1W: Floats = np.arange(self.width, dtype=np.float32)[None] + np.float32(0.5)
        self.whole = (slice(0, self.height), slice(0, self.width))

    def window(self, name: str) -> Floats:
        """A random (H, W) window of a texture."""
        return self.textures.window(self.rng, name)

    def paint(self, place: tuple[slice, slice], mask_hw: Mask, name: str, colour: Floats) -> None:
        """Set class and colour, (3,) or (h, w, 3), of the pixels of `mask_hw` in `place`."""
        np.copyto(self.image_HW3[place], colour, where=mask_hw[..., None])
        np.copyto(self.label_HW[place], np.uint8(CLASS_ID[name]), where=mask_hw)

    def tint(self, place: tuple[slice, slice], mask_hw: Mask, colour: Floats) -> None:
        """Set the colour of the pixels of `mask_hw` in `place` and keep their class."""
        np.copyto(self.image_HW3[place], colour, where=mask_hw[..., None])

    def box(self, lateral: float, scale: float, width: float, height: float) -> Box | None:
        """A rectangle of `width` by `height` metres at `lateral` metres, at least a pixel wide; None if not visible."""
        half = max(0.5, width * scale / 2)
        middle = self.street.vanishing + lateral * scale
        ground = self.street.horizon + CAMERA_HEIGHT * scale
        rise = max(1.0, height * scale)
        left, right = max(0, round(middle - half)), min(self.width, max(round(middle + half), round(middle - half) + 1))
        top, bottom = max(0, round(ground - rise)), min(self.height, round(ground))
        if left >= right or top >= bottom:
            return None
        place = (slice(top, bottom), slice(left, right))
        across = (self.column_1W[:, place[1]] - np.float32(middle)) / np.float32(half)
        up = (np.float32(ground) - self.row_H1[place[0]]) / np.float32(rise)
        return Box(place, across, up)


def rgb(*values: float) -> Floats:
    """A colour as float32."""
    return np.array(values, dtype=np.float32)
