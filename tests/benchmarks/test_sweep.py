"""What a sweep must have in common with a loop: every figure that the configuration determines, bit for bit."""

from __future__ import annotations

import math

import pytest

from benchmarks import sweep

LOOP = {"a": {"final/miou": 0.5, "val/miou": 0.25, "contrast/loss": 1.5, "cost/step_ms": 80.0}}


def test_times_may_differ():
    sweep.require_equal({"a": {**LOOP["a"], "cost/step_ms": 90.0, "system/rss_gb": 1.0}}, LOOP)


@pytest.mark.parametrize("name", ["final/miou", "val/miou", "contrast/loss"])
def test_the_last_bit_of_a_figure_counts(name):
    other = {"a": {**LOOP["a"], name: math.nextafter(LOOP["a"][name], 9)}}
    with pytest.raises(RuntimeError, match=f"differ from the loop's: a {name}$"):
        sweep.require_equal(other, LOOP)


def test_a_figure_that_the_sweep_lacks_differs():
    with pytest.raises(RuntimeError, match="a final/miou"):
        sweep.require_equal({"a": {}}, LOOP)


def test_the_loop_with_one_thread_is_one_of_the_two():
    assert sweep.LIMITS == {sweep.SLOTS: 0.82, 1: 0.62}
    assert sweep.largest_difference({"a": {"final/miou": 0.75}}, LOOP) == 0.25
