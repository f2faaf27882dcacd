"""The front against its definition, and numbers that do not overlap."""

import math
import random

import pytest

from reports.figures.pareto import Pareto, ParetoPoint, front_of, number_places


def point(x, y, label=""):
    return ParetoPoint(label=label, x=x, y=y)


@pytest.mark.parametrize("x_up", [False, True])
@pytest.mark.parametrize("y_up", [False, True])
def test_the_front_is_what_no_other_point_beats(x_up, y_up):
    draw = random.Random(3)
    points = tuple(point(draw.randint(0, 9), draw.randint(0, 9), str(i)) for i in range(30))
    x_sign, y_sign = (1 if x_up else -1), (1 if y_up else -1)

    def beats(a, b):
        gains = (x_sign * (a.x - b.x), y_sign * (a.y - b.y))
        return min(gains) >= 0 and max(gains) > 0

    expected = {item.label for item in points if not any(beats(other, item) for other in points)}
    front = front_of(Pareto(x_name="x", y_name="y", points=points, x_up=x_up, y_up=y_up))
    assert {item.label for item in front} == expected
    assert [item.x for item in front] == sorted(item.x for item in front)


def test_points_without_both_values_are_left_out():
    assert front_of(Pareto(x_name="x", y_name="y", points=(point(math.nan, 1), point(1, math.inf)))) == ()


def test_neighbours_share_a_number():
    front = (point(0, 0), point(0.01, 0.01), point(0.5, 0.5), point(1, 1))
    assert [text for text, _ in number_places(front, (3.0, 2.0), front)] == ["1-2", "3", "4"]
    assert number_places((), (3.0, 2.0), ()) == []
