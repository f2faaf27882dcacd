"""The drawing surface: projection by hand, visible boxes, shared textures."""

from __future__ import annotations

import numpy as np
import pytest

from trainer.data.files.camvid import CLASS_NAMES
from trainer.data.synthetic.canvas import BLOTCH, CAMERA_HEIGHT, GRAIN, Canvas, Street, Textures, noise, rgb

STREET = Street(horizon=50.0, vanishing=64.0, focal=120.0, kerbs=(-4.0, 4.0), walls=(-6.0, 6.0))


@pytest.fixture
def canvas():
    return Canvas(np.random.default_rng(0), Textures(np.random.default_rng(1), 96, 128), STREET)


def test_every_class_has_a_surface():
    assert GRAIN.shape == BLOTCH.shape == (len(CLASS_NAMES),)


def test_a_box_stands_where_the_camera_sees_it(canvas):
    """At 10 pixels per metre: 2 m wide is 20 columns, 3 m high 30 rows, its foot 16 rows below the horizon."""
    box = canvas.box(1.0, 10.0, 2.0, 3.0)
    assert CAMERA_HEIGHT == 1.6
    assert box.place == (slice(36, 66), slice(64, 84))
    assert box.across.shape == (1, 20)
    assert box.up.shape == (30, 1)
    np.testing.assert_allclose(box.across[0, [0, -1]], [-0.95, 0.95], atol=1e-5)
    np.testing.assert_allclose(box.up[[0, -1], 0], [1 - 0.5 / 30, 0.5 / 30], atol=1e-5)


def test_a_far_box_keeps_a_pixel_and_a_box_beside_the_image_is_none(canvas):
    box = canvas.box(1.0, 2.0, 0.05, 2.0)
    assert box.across.shape == (1, 1)
    assert canvas.box(50.0, 10.0, 2.0, 3.0) is None
    assert canvas.box(-50.0, 10.0, 2.0, 3.0) is None


def test_a_box_is_cut_at_the_edge_and_keeps_its_coordinates(canvas):
    box = canvas.box(-6.4, 10.0, 2.0, 3.0)
    assert box.place[1] == slice(0, 10)
    np.testing.assert_allclose(box.across[0, 0], 0.05, atol=1e-5)


def test_paint_labels_and_tint_does_not(canvas):
    place = (slice(10, 12), slice(20, 23))
    mask_hw = np.array([[True, False, True], [False, True, False]])
    canvas.paint(place, mask_hw, "car", rgb(0.1, 0.2, 0.3))
    canvas.tint((slice(0, 1), slice(0, 1)), np.ones((1, 1), dtype=bool), rgb(1, 1, 1))
    assert (canvas.label_HW == CLASS_NAMES.index("car")).sum() == 3
    np.testing.assert_array_equal(canvas.image_HW3[10, 20], rgb(0.1, 0.2, 0.3))
    assert canvas.label_HW[0, 0] == 0
    assert canvas.image_HW3[0, 0].sum() == 3


def test_noise_is_smooth_and_of_peak_one():
    for cell in (1, 6, 20):
        tile = noise(np.random.default_rng(0), 128, cell)
        assert tile.shape == (128, 128)
        assert np.abs(tile).max() == pytest.approx(1)
        assert np.abs(np.diff(tile, axis=0)).max() <= 2.5 / cell


def test_windows_are_cut_at_places_of_their_own(canvas):
    first, second = canvas.window("leaf"), canvas.window("leaf")
    assert first.shape == second.shape == (96, 128)
    assert not np.array_equal(first, second)
