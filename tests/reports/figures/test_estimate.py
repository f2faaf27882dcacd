"""The mean of an estimate, and which factors are geometric."""

import math

import pytest

from reports.figures.figure_data import Estimate
from reports.figures.line import is_geometric


def test_without_values_the_mean_is_nan():
    assert math.isnan(Estimate(values=()).mean)
    assert Estimate(values=(1.0, 3.0)).mean == 2.0


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
