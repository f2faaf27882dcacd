"""The background of the synthetic street: sky, skyline, ground, houses, hedges and fences.

Axes: H W image, h w a part of it. Lengths in the scene are in metres; `trainer.data.synthetic.canvas` has the camera.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from trainer.data.synthetic.canvas import CAMERA_HEIGHT, CLASS_ID, Canvas, Floats, Mask, rgb

__all__ = ["draw_backdrop", "leaf_colour"]

WALLS = np.array([[0.55, 0.36, 0.28], [0.66, 0.58, 0.45], [0.50, 0.48, 0.46], [0.78, 0.75, 0.70], [0.32, 0.27, 0.24]])
"""Brick, sandstone, concrete, plaster, soot. Fences have the same colours, so colour alone identifies no class."""

SKIES = np.array([[0.93, 0.95, 0.97], [0.62, 0.76, 0.92], [0.74, 0.76, 0.79]])
"""Overcast, blue, grey."""


def wall_colours(rng: Generator, count: int) -> Floats:
    """Colours of `count` houses or fences, (count, 3)."""
    return np.asarray(WALLS[rng.integers(len(WALLS), size=count)] * rng.uniform(0.75, 1.2, (count, 1)), np.float32)


def draw_backdrop(canvas: Canvas) -> None:
    """Draw sky, skyline, ground and both rows of houses."""
    draw_sky(canvas)
    draw_skyline(canvas)
    draw_ground(canvas)
    for side in (0, 1):
        draw_row(canvas, side)


def draw_sky(canvas: Canvas) -> None:
    """Draw a gradient with clouds over the whole image."""
    colour = np.asarray(SKIES[canvas.rng.integers(len(SKIES))], dtype=np.float32)
    fade_H1 = np.float32(1) - np.float32(0.2) * (1 - canvas.row_H1 / np.float32(canvas.height))
    cloud_HW = np.float32(canvas.rng.uniform(0.02, 0.14)) * canvas.window("cloud")
    canvas.image_HW3[:] = colour * (fade_H1 + cloud_HW)[..., None]
    canvas.label_HW[:] = CLASS_ID["sky"]


def draw_skyline(canvas: Canvas) -> None:
    """Draw distant houses and trees at the end of the street."""
    rng, street = canvas.rng, canvas.street
    above_HW = np.float32(street.horizon) - canvas.row_H1
    most = np.float32(canvas.height * rng.uniform(0.04, 0.14))
    smooth_1W = most * (1 + canvas.window("blotch")[:1])
    stepped_1W = smooth_1W[:, np.arange(canvas.width) // max(1, canvas.height // 16) * max(1, canvas.height // 16)]
    trees_1W = canvas.window("cloud")[:1] > np.float32(rng.uniform(-0.6, 0.6))
    low_HW = above_HW >= -1
    houses_HW = low_HW & (above_HW < stepped_1W) & ~trees_1W
    canvas.paint(canvas.whole, houses_HW, "building", wall_colours(rng, 1)[0])
    canvas.paint(canvas.whole, low_HW & (above_HW < smooth_1W) & trees_1W, "tree", leaf_colour(rng))


def leaf_colour(rng: Generator) -> Floats:
    """A dark colour from green to brown."""
    return rgb(rng.uniform(0.16, 0.36), rng.uniform(0.22, 0.36), rng.uniform(0.10, 0.20))


def draw_ground(canvas: Canvas) -> None:
    """Draw the road with lane markings between the kerbs, and paved slabs beside it."""
    rng, street = canvas.rng, canvas.street
    place = (slice(int(street.horizon) + 1, canvas.height), slice(0, canvas.width))
    scale_h1 = (canvas.row_H1[place[0]] - np.float32(street.horizon)) / np.float32(CAMERA_HEIGHT)
    lateral_hw = (canvas.column_1W - np.float32(street.vanishing)) / scale_h1
    ahead_h1 = np.float32(street.focal) / scale_h1
    asphalt = np.float32(rng.uniform(0.33, 0.48)) * rgb(1.0, 1.0, 1.03)
    slabs = np.float32(rng.uniform(0.9, 1.25)) * asphalt * rgb(1.2, 1.14, 1.08)

    canvas.paint(place, np.ones(lateral_hw.shape, dtype=np.bool_), "pavement", slabs)
    joint_hw = ((lateral_hw % 0.9) < 0.12) | ((ahead_h1 % 1.2) < 0.15)
    canvas.tint(place, joint_hw & (scale_h1 > np.float32(canvas.height / 24)), slabs * np.float32(0.7))
    road_hw = (lateral_hw > street.kerbs[0]) & (lateral_hw < street.kerbs[1])
    canvas.paint(place, road_hw, "road", asphalt)
    kerb_hw = road_hw & ((lateral_hw < street.kerbs[0] + 0.15) | (lateral_hw > street.kerbs[1] - 0.15))
    canvas.tint(place, kerb_hw, asphalt * np.float32(1.4))
    line_hw = np.abs(lateral_hw - np.float32(rng.uniform(-1.0, 1.0))) < 0.09
    canvas.tint(place, line_hw & ((ahead_h1 + np.float32(rng.uniform(0, 6))) % 6 < 3), rgb(0.85, 0.85, 0.82))


@dataclass(frozen=True, slots=True)
class Frontage:
    """The vertical plane of one row of houses in the image; the columns of a plot have the same house and colour."""

    place: tuple[slice, slice]
    rise_hw: Floats
    """Metres above ground of each pixel."""
    ahead_w: Floats
    """Metres along the street."""
    plot_w: NDArray[np.int64]
    """Number of the plot, 0..PLOTS-1."""
    colour_w3: Floats

    def heights(self, rng: Generator, low: float, high: float) -> Floats:
        """A random height per plot, metres, (w,)."""
        return rng.uniform(low, high, PLOTS).astype(np.float32)[self.plot_w]

    def spread(self, colour_w3: Floats) -> Floats:
        """Broadcast a colour per column to a colour per pixel."""
        return np.broadcast_to(colour_w3, (*self.rise_hw.shape, 3))


PLOTS = 32
PLOT_SHARES = (0.66, 0.16, 0.10, 0.08)
"""Share of plots with a house; with trees; with trees behind a fence; with a fence only."""


def draw_row(canvas: Canvas, side: int) -> None:
    """Draw one side of the street: houses, hedges and fences towards the vanishing point."""
    rng, street = canvas.rng, canvas.street
    scale_W = (canvas.column_1W[0] - np.float32(street.vanishing)) / np.float32(street.walls[side])
    columns = np.flatnonzero(scale_W > rng.uniform(0.012, 0.03) * canvas.height)
    if not len(columns):
        return
    place = (canvas.whole[0], slice(int(columns[0]), int(columns[-1]) + 1))
    scale_w = scale_W[place[1]]
    ahead_w = np.float32(street.focal) / scale_w + np.float32(rng.uniform(0, 12))
    plot_w = np.minimum(ahead_w / np.float32(rng.uniform(8, 16)), PLOTS - 1).astype(np.int64)
    rise_hw = (np.float32(street.horizon) + np.float32(CAMERA_HEIGHT) * scale_w - canvas.row_H1) / scale_w
    frontage = Frontage(place, rise_hw, ahead_w, plot_w, wall_colours(rng, PLOTS)[plot_w])
    kind_w = rng.choice(len(PLOT_SHARES), size=PLOTS, p=PLOT_SHARES)[plot_w]
    draw_houses(canvas, frontage, kind_w == 0)
    draw_hedges(canvas, frontage, (kind_w == 1) | (kind_w == 2))
    draw_fences(canvas, frontage, kind_w >= 2)


def draw_houses(canvas: Canvas, frontage: Frontage, here_w: Mask) -> None:
    """Draw walls with a roof and windows in the columns `here_w`."""
    rng, rise_hw = canvas.rng, frontage.rise_hw
    height_w = frontage.heights(rng, 6, 16)
    wall_hw = here_w & (rise_hw >= 0) & (rise_hw < height_w)
    canvas.paint(frontage.place, wall_hw, "building", frontage.spread(frontage.colour_w3))
    roof_hw = wall_hw & (rise_hw > height_w - np.float32(rng.uniform(0.6, 2.2)))
    canvas.tint(frontage.place, roof_hw, rgb(0.30, 0.26, 0.26) * np.float32(rng.uniform(0.8, 1.5)))
    storey, bay = np.float32(rng.uniform(2.6, 3.4)), np.float32(rng.uniform(1.8, 3.2))
    level_hw = rise_hw % storey
    pane_hw = (level_hw > 0.34 * storey) & (level_hw < 0.8 * storey) & ((frontage.ahead_w % bay) > 0.4 * bay)
    glass = rgb(0.20, 0.23, 0.28) if rng.uniform() < 0.7 else rgb(0.60, 0.66, 0.72)
    canvas.tint(frontage.place, wall_hw & ~roof_hw & pane_hw, glass)


def draw_hedges(canvas: Canvas, frontage: Frontage, here_w: Mask) -> None:
    """Draw trees and bushes with a ragged top in the columns `here_w`."""
    ragged_hw = frontage.heights(canvas.rng, 2.5, 8) * (1 + np.float32(0.35) * canvas.window("leaf")[frontage.place])
    hedge_hw = here_w & (frontage.rise_hw >= 0) & (frontage.rise_hw < ragged_hw)
    canvas.paint(frontage.place, hedge_hw, "tree", leaf_colour(canvas.rng))


def draw_fences(canvas: Canvas, frontage: Frontage, here_w: Mask) -> None:
    """Draw low fences of vertical boards in the columns `here_w`."""
    height = np.float32(canvas.rng.uniform(1.2, 2.2))
    fence_hw = here_w & (frontage.rise_hw >= 0) & (frontage.rise_hw < height)
    board_w = np.where((frontage.ahead_w % np.float32(0.8)) < 0.4, np.float32(0.7), np.float32(0.95))
    canvas.paint(frontage.place, fence_hw, "fence", frontage.spread(frontage.colour_w3 * board_w[:, None]))
