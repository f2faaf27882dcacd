"""The background: positions of sky, road, pavement and houses, computed from the camera by hand."""

from __future__ import annotations

import numpy as np
import pytest

from trainer.data.files.camvid import CLASS_NAMES
from trainer.data.synthetic.canvas import Canvas, Street, Textures
from trainer.data.synthetic.scenery import PLOT_SHARES, draw_backdrop, draw_ground, draw_row, draw_sky

STREET = Street(horizon=48.0, vanishing=64.0, focal=115.0, kerbs=(-4.0, 3.0), walls=(-6.0, 6.0))
TEXTURES = Textures(np.random.default_rng(1), 96, 128)
SKY, BUILDING, ROAD, PAVEMENT = (CLASS_NAMES.index(name) for name in ("sky", "building", "road", "pavement"))


def canvas_of(seed=0):
    return Canvas(np.random.default_rng(seed), TEXTURES, STREET)


def test_kerbs_lie_where_perspective_puts_them():
    """16 rows below the horizon a metre is 10 pixels: the road spans 64 - 40 .. 64 + 30."""
    canvas = canvas_of()
    draw_sky(canvas)
    draw_ground(canvas)
    label_W = canvas.label_HW[63]  # its middle lies 15.5 rows below the horizon: 9.69 pixels per metre
    assert np.flatnonzero(label_W == ROAD)[[0, -1]].tolist() == [25, 92]
    assert set(label_W) == {ROAD, PAVEMENT}
    assert (canvas.label_HW[:49] == SKY).all()


@pytest.mark.parametrize("side", [0, 1])
def test_a_row_stays_on_its_side_and_reaches_the_ground_line(side):
    for seed in range(10):
        canvas = canvas_of(seed)
        draw_row(canvas, side)
        rows, columns = np.nonzero(canvas.label_HW)
        assert (columns < 64).all() if side == 0 else (columns >= 64).all()
        edge = 0 if side == 0 else 127
        metre = 63.5 / 6  # pixels per metre of the row's plane at the image's edge
        assert rows[columns == edge].max() == pytest.approx(48 + 1.6 * metre - 0.5, abs=1)


def test_backdrop_holds_ground_and_sky_for_every_seed():
    for seed in range(20):
        canvas = canvas_of(seed)
        draw_backdrop(canvas)
        assert {SKY, ROAD, PAVEMENT} <= set(np.unique(canvas.label_HW))
        assert np.isfinite(canvas.image_HW3).all()
        assert canvas.image_HW3.min() >= 0


def test_plot_shares_are_a_distribution():
    assert sum(PLOT_SHARES) == pytest.approx(1)
    assert PLOT_SHARES[0] > 0.5
