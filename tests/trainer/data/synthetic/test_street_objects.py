"""Every street object: its position and its classes, at any distance."""

from __future__ import annotations

import numpy as np
import pytest

from trainer.data.files.camvid import CLASS_NAMES
from trainer.data.synthetic import street_objects
from trainer.data.synthetic.canvas import Canvas, Street, Textures
from trainer.data.synthetic.street_objects import (
    POPULATION,
    draw_bicyclist,
    draw_car,
    draw_objects,
    draw_pedestrian,
    draw_pole,
    draw_sign,
    draw_tree,
)

STREET = Street(horizon=50.0, vanishing=64.0, focal=115.0, kerbs=(-4.0, 4.0), walls=(-6.0, 6.0))
TEXTURES = Textures(np.random.default_rng(1), 96, 128)
CLASSES = {
    draw_tree: {"tree"},
    draw_car: {"car"},
    draw_pole: {"pole"},
    draw_sign: {"pole", "sign"},
    draw_pedestrian: {"pedestrian"},
    draw_bicyclist: {"bicyclist"},
}


def canvas_of(seed):
    return Canvas(np.random.default_rng(seed), TEXTURES, STREET)


def test_the_whole_population_is_tested():
    assert {entry[0] for entry in POPULATION} == set(CLASSES)


@pytest.mark.parametrize("drawer", CLASSES, ids=lambda drawer: drawer.__name__)
def test_an_object_brings_its_classes_alone_and_stands_on_the_ground(drawer):
    for seed in range(20):
        canvas = canvas_of(seed)
        drawer(canvas, 2.0, 12.0)
        found = {CLASS_NAMES[label] for label in np.unique(canvas.label_HW)} - {"sky"}
        assert found == CLASSES[drawer]
        rows, columns = np.nonzero(canvas.label_HW)
        assert 62 <= rows.max() <= 69  # the ground lies 1.6 m * 12 pixels/m below the horizon
        assert columns.min() <= 64 + 2 * 12 + 1
        assert columns.max() >= 64 + 2 * 12 - 1


@pytest.mark.parametrize("drawer", CLASSES, ids=lambda drawer: drawer.__name__)
def test_near_is_larger_and_out_of_sight_is_nothing(drawer):
    sizes = []
    for scale in (3.0, 12.0):
        canvas = canvas_of(4)
        drawer(canvas, 1.0, scale)
        sizes.append(int((canvas.label_HW > 0).sum()))
    assert sizes[0] < sizes[1]
    canvas = canvas_of(4)
    drawer(canvas, 40.0, 12.0)
    assert not canvas.label_HW.any()


def test_near_objects_are_drawn_after_far_ones(monkeypatch):
    scales = []
    record = [(lambda canvas, lateral, scale: scales.append(scale), *entry[1:]) for entry in POPULATION]
    monkeypatch.setattr(street_objects, "POPULATION", record)
    draw_objects(canvas_of(9))
    assert len(scales) > 5
    assert scales == sorted(scales)


def test_the_population_follows_the_generator():
    first, second = canvas_of(9), canvas_of(9)
    draw_objects(first)
    draw_objects(second)
    np.testing.assert_array_equal(first.image_HW3, second.image_HW3)
    assert first.label_HW.any()
