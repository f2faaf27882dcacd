"""What counts as a value, as an interval, and as a geometric factor."""

import math

import pytest

from reports.figures.estimate import Estimate, is_geometric


def test_only_finite_values_count():
    found = Estimate(values=(1.0, math.nan, 3.0, math.inf), low=0.0, high=math.inf)
    assert (found.seen, found.mean, found.ends) == ((1.0, 3.0), 2.0, None)
    assert math.isnan(Estimate(values=()).mean)
    assert Estimate(values=(1.0,), low=0.5, high=1.5).ends == (0.5, 1.5)


@pytest.mark.parametrize(
    ("values", "geometric"),
    [
        ((0.05, 0.07, 0.1, 0.2, 0.3, 0.4), True),
        ((500, 1000, 5000, 10000, 50000), True),
        ((1, 2, 4, 8), True),
        ((1, 2, 3, 4, 5, 6), False),
        ((0.1, 0.2, 0.3), False),
        ((0, 0.1, 1, 10), False),
        ((-1, 10, 100), False),
        ((1, 100), False),
        ((), False),
    ],
)
def test_a_log_axis_where_the_ratios_are_even(values, geometric):
    assert is_geometric(values) is geometric
