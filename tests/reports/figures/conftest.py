"""Checks of a drawn figure: its texts, and whether they are inside it."""

from itertools import combinations

import pytest
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.text import Text


def visible_texts(figure: Figure) -> list[Text]:
    """All that is drawn; matplotlib keeps ticks beyond the ends of an axis, which are not."""
    beyond = {label for axes in figure.axes for axis in (axes.xaxis, axes.yaxis) for label in labels_beyond(axis)}
    return [
        text for text in figure.findobj(Text) if text.get_visible() and text.get_text().strip() and text not in beyond
    ]


def labels_beyond(axis: Axis) -> list[Text]:
    low, high = sorted(axis.get_view_interval())
    slack = 1e-6 * (high - low)
    return [
        label
        for tick in axis.get_major_ticks()
        if not low - slack <= tick.get_loc() <= high + slack
        for label in (tick.label1, tick.label2)
    ]


@pytest.fixture
def words():
    """All that is written in a figure, on one line."""
    return lambda figure: " ".join(" ".join(text.get_text().split()) for text in visible_texts(figure))


@pytest.fixture
def check_layout():
    """Every text lies within the figure, and tick labels do not lie on one another."""

    def check(figure: Figure) -> None:
        renderer = figure.canvas.get_renderer()
        width, height = figure.bbox.size
        for text in visible_texts(figure):
            box = text.get_window_extent(renderer)
            inside = box.x0 >= -1 and box.y0 >= -1 and box.x1 <= width + 1 and box.y1 <= height + 1
            assert inside, f"{text.get_text()!r} is cut: {box} in {width} x {height}"
            assert not text.get_parse_math()
        for axis in (figure.axes[0].xaxis, figure.axes[0].yaxis):
            beyond = labels_beyond(axis)
            labels = [label for label in axis.get_ticklabels() if label.get_text() and label not in beyond]
            boxes = [label.get_window_extent(renderer) for label in labels]
            assert not any(left.padded(-1).overlaps(right.padded(-1)) for left, right in combinations(boxes, 2))

    return check
