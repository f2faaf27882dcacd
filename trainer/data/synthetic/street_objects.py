"""Objects of the synthetic street: trees, cars, poles, signs, pedestrians, bicyclists.

Each function draws one object on the ground at `lateral` metres from the camera, at `scale` pixels per metre.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.random import Generator

from trainer.data.synthetic.canvas import Canvas, Floats, rgb
from trainer.data.synthetic.scenery import leaf_colour

__all__ = ["draw_objects"]

Drawer = Callable[[Canvas, float, float], None]


def draw_objects(canvas: Canvas) -> None:
    """Draw a random set of objects, distant ones first, so that near ones cover them."""
    rng = canvas.rng
    todo: list[tuple[float, float, Drawer]] = []
    for drawer, most, nearest, farthest, beside in POPULATION:
        for _ in range(int(rng.integers(most + 1))):
            ahead = nearest * (farthest / nearest) ** rng.uniform()
            side = int(rng.integers(2))
            kerb, wall = canvas.street.kerbs[side], canvas.street.walls[side]
            lateral = kerb + beside(rng) * (wall - kerb)
            todo.append((ahead, lateral, drawer))
    for ahead, lateral, drawer in sorted(todo, key=lambda item: -item[0]):
        drawer(canvas, lateral, canvas.street.focal / ahead)


def on_pavement(rng: Generator) -> float:
    """Anywhere between kerb (0) and house (1)."""
    return rng.uniform(0.1, 0.9)


def at_kerb(rng: Generator) -> float:
    """On the pavement, near the kerb."""
    return rng.uniform(0.02, 0.25)


def parked(rng: Generator) -> float:
    """On the road, usually near the kerb."""
    return -rng.uniform(0.2, 1.4)


def draw_tree(canvas: Canvas, lateral: float, scale: float) -> None:
    """Draw a trunk and a ragged crown, which can be sparse."""
    rng = canvas.rng
    box = canvas.box(lateral, scale, rng.uniform(3.0, 5.5), rng.uniform(5.0, 9.0))
    if box is None:
        return
    colour = leaf_colour(rng)
    thin = np.float32(rng.uniform(-1.2, 0.1))
    ragged_hw = canvas.window("leaf")[box.place]
    radius_hw = box.across**2 + ((box.up - np.float32(0.66)) / np.float32(0.36)) ** 2
    crown_hw = (radius_hw < 0.8 + 0.5 * ragged_hw) & (canvas.window("grain")[box.place] > thin)
    trunk_hw = (np.abs(box.across) < 0.09) & (box.up < 0.6)
    canvas.paint(box.place, trunk_hw, "tree", rgb(0.24, 0.19, 0.15))
    canvas.paint(box.place, crown_hw, "tree", colour)


def draw_car(canvas: Canvas, lateral: float, scale: float) -> None:
    """Draw a car from behind or from the side, with its shadow."""
    rng = canvas.rng
    sideways = rng.uniform() < 0.3
    box = canvas.box(
        lateral, scale, rng.uniform(3.6, 4.6) if sideways else rng.uniform(1.7, 2.1), rng.uniform(1.35, 1.8)
    )
    if box is None:
        return
    across_1w, up_h1 = np.abs(box.across), box.up
    cabin = np.float32(0.58 if sideways else 0.84)
    wheel = (0.45, 0.8) if sideways else (0.6, 0.95)
    paint = rgb(*rng.uniform(0.08, 0.9, 3)) * np.float32(0.4) + np.float32(rng.uniform(0.02, 0.5))
    canvas.tint(box.place, (up_h1 < 0.12) & (across_1w < 0.97), rgb(0.10, 0.10, 0.11))
    body_hw = (up_h1 > 0.12) & (up_h1 < 0.62) & (across_1w < 1)
    roof_hw = (up_h1 >= 0.62) & (across_1w < cabin - np.float32(0.5) * (up_h1 - np.float32(0.62)))
    canvas.paint(box.place, body_hw | roof_hw, "car", paint)
    glass_hw = (up_h1 > 0.62) & (up_h1 < 0.92) & (across_1w < (cabin - np.float32(0.12)))
    canvas.tint(box.place, glass_hw, rgb(0.16, 0.19, 0.23))
    tyre_hw = (up_h1 < 0.3) & (across_1w > wheel[0]) & (across_1w < wheel[1])
    canvas.paint(box.place, tyre_hw, "car", rgb(0.07, 0.07, 0.07))
    lamp_hw = (up_h1 > 0.38) & (up_h1 < 0.52) & (across_1w > 0.78)
    canvas.tint(box.place, lamp_hw, rgb(0.75, 0.12, 0.10) if rng.uniform() < 0.6 else rgb(0.95, 0.93, 0.80))


def draw_pole(canvas: Canvas, lateral: float, scale: float) -> None:
    """Draw a lamp post with a bracket above the road."""
    rng = canvas.rng
    height = rng.uniform(4.5, 8.0)
    colour = metal_colour(rng)
    post = canvas.box(lateral, scale, 0.16, height)
    if post is not None:
        canvas.paint(post.place, np.ones((len(post.up), post.across.shape[1]), dtype=np.bool_), "pole", colour)
    bracket = canvas.box(lateral - np.sign(lateral) * 0.7, scale, 1.4, height)
    if bracket is not None:
        over_hw = np.broadcast_to(
            bracket.up > 1 - max(0.02, 1 / (height * scale)), (len(bracket.up), bracket.across.shape[1])
        )
        canvas.paint(bracket.place, over_hw, "pole", colour)


def metal_colour(rng: Generator) -> Floats:
    """Grey, sometimes nearly black or nearly white."""
    grey = rng.uniform(0.15, 0.7)
    return rgb(grey, grey, grey * 0.97)


def draw_sign(canvas: Canvas, lateral: float, scale: float) -> None:
    """Draw a round, square or triangular plate, or a traffic light, on a short post."""
    rng = canvas.rng
    height, side = rng.uniform(2.3, 3.6), rng.uniform(0.7, 1.5)
    post = canvas.box(lateral, scale, 0.1, height)
    plate = canvas.box(lateral, scale, side, height)
    if post is None or plate is None:
        return
    canvas.paint(post.place, np.ones((len(post.up), post.across.shape[1]), dtype=np.bool_), "pole", metal_colour(rng))
    centre, half = np.float32(1 - side / height / 2), np.float32(side / height / 2)
    high_h1 = (plate.up - centre) / half
    shape = int(rng.integers(4))
    if shape == 0:
        mask_hw = plate.across**2 + high_h1**2 < 1
    elif shape == 1:
        mask_hw = (np.abs(high_h1) < 1) & (np.abs(plate.across) < (1 - high_h1) / 2)
    elif shape == 2:
        mask_hw = (np.abs(high_h1) < 1) & (np.abs(plate.across) <= 1)
    else:
        mask_hw = (np.abs(high_h1) < 1) & (np.abs(plate.across) < 0.5)
    colour = SIGN_COLOURS[rng.integers(len(SIGN_COLOURS))] if shape < 3 else rgb(0.08, 0.08, 0.08)
    canvas.paint(plate.place, mask_hw, "sign", colour)
    mark = rgb(0.92, 0.92, 0.90) if shape < 3 else rgb(0.85, 0.20, 0.15)
    canvas.tint(plate.place, mask_hw & (plate.across**2 + (high_h1 - np.float32(0.1)) ** 2 < 0.2), mark)


SIGN_COLOURS = (
    rgb(0.75, 0.12, 0.14),
    rgb(0.12, 0.25, 0.65),
    rgb(0.88, 0.86, 0.80),
    rgb(0.85, 0.70, 0.15),
    rgb(0.4, 0.25, 0.2),
)


def draw_pedestrian(canvas: Canvas, lateral: float, scale: float) -> None:
    """Draw a standing or walking person."""
    rng = canvas.rng
    box = canvas.box(lateral, scale, rng.uniform(0.5, 0.75), rng.uniform(1.55, 1.9))
    if box is None:
        return
    across_1w, up_h1 = np.abs(box.across), box.up
    legs_hw = (up_h1 < 0.5) & (across_1w < 0.75) & (across_1w > np.float32(rng.uniform(0, 0.5)) - up_h1)
    trunk_hw = (up_h1 >= 0.45) & (up_h1 < 0.85) & (across_1w < 0.95)
    head_hw = (box.across / np.float32(0.42)) ** 2 + ((up_h1 - np.float32(0.92)) / np.float32(0.09)) ** 2 < 1
    canvas.paint(box.place, legs_hw, "pedestrian", clothes(rng))
    canvas.paint(box.place, trunk_hw, "pedestrian", clothes(rng))
    canvas.paint(box.place, head_hw, "pedestrian", skin(rng))


def clothes(rng: Generator) -> Floats:
    """A colour that is usually dark."""
    return rgb(*rng.uniform(0.05, 0.3, 3)) if rng.uniform() < 0.7 else rgb(*rng.uniform(0.1, 0.8, 3))


def skin(rng: Generator) -> Floats:
    """A colour from dark to light."""
    return rgb(0.80, 0.62, 0.52) * np.float32(rng.uniform(0.4, 1.0))


def draw_bicyclist(canvas: Canvas, lateral: float, scale: float) -> None:
    """Draw a rider with a bicycle from the side or from behind; both are one class."""
    rng = canvas.rng
    width = 1.7 if rng.uniform() < 0.6 else 0.7
    box = canvas.box(lateral, scale, width, rng.uniform(1.6, 1.85))
    if box is None:
        return
    across_1w, up_h1 = box.across, box.up
    lean = np.float32(rng.choice((-0.25, 0.25)))
    wheel_hw = np.zeros((len(up_h1), across_1w.shape[1]), dtype=np.bool_)
    for middle in (-0.58, 0.58):
        radius_hw = ((across_1w - np.float32(middle)) / np.float32(0.40)) ** 2 + (
            (up_h1 - np.float32(0.2)) / np.float32(0.2)
        ) ** 2
        wheel_hw |= (radius_hw < 1) & (radius_hw > 0.35)
    frame_hw = (np.abs(up_h1 - np.float32(0.36)) < 0.05) & (np.abs(across_1w) < 0.6)
    legs_hw = (up_h1 > 0.15) & (up_h1 < 0.55) & (np.abs(across_1w) < 0.22)
    trunk_hw = (up_h1 >= 0.5) & (up_h1 < 0.87) & (np.abs(across_1w - lean * (up_h1 - np.float32(0.5))) < 0.34)
    head_hw = ((across_1w - lean) / np.float32(0.2)) ** 2 + ((up_h1 - np.float32(0.92)) / np.float32(0.09)) ** 2 < 1
    canvas.paint(box.place, wheel_hw | frame_hw, "bicyclist", rgb(0.10, 0.10, 0.11))
    canvas.paint(box.place, legs_hw, "bicyclist", clothes(rng))
    canvas.paint(box.place, trunk_hw, "bicyclist", clothes(rng))
    canvas.paint(box.place, head_hw, "bicyclist", skin(rng))


POPULATION: tuple[tuple[Drawer, int, float, float, Callable[[Generator], float]], ...] = (
    (draw_tree, 3, 9, 60, on_pavement),
    (draw_car, 7, 6, 60, parked),
    (draw_pole, 5, 7, 60, at_kerb),
    (draw_sign, 6, 6, 40, at_kerb),
    (draw_pedestrian, 7, 7, 40, on_pavement),
    (draw_bicyclist, 1, 7, 25, parked),
)
"""Object, maximum number, nearest and farthest distance in metres, and position between kerb (0) and house (1)."""
