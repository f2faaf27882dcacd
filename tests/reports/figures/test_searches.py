"""What the figures of a search show: every parameter that varies, on its own scale."""

import pytest

from reports.figures.choose import choose
from reports.figures.figure_data import FigureData
from reports.figures.searches import parallel_coordinates
from tests.reports.conftest import make_outcomes, make_sweep, results_of

PARAMETERS = [
    {"key": "contrast.temperature", "kind": "log_uniform"},
    {"key": "contrast.memory.kind", "kind": "categorical"},
    {"key": "contrast.anchors.per_class", "kind": "int_uniform"},
    {"key": "contrast.weight", "kind": "uniform"},
]
DRAWS = [
    {"contrast.temperature": 0.01, "contrast.memory.kind": "pixel", "contrast.anchors.per_class": 50},
    {"contrast.temperature": 1.0, "contrast.memory.kind": "none", "contrast.anchors.per_class": 100},
    {"contrast.temperature": 0.1, "contrast.memory.kind": "pixel", "contrast.anchors.per_class": 75},
]


def search(values, draws=DRAWS, **changes):
    rows = {f"trial {number}": {**draw, "contrast.weight": 0.5} for number, draw in enumerate(draws)}
    changes = {"method": "tpe", "baseline": None, "seeds": (0,), "search": {"parameters": PARAMETERS}, **changes}
    outcomes = make_outcomes({label: [value] for label, value in zip(rows, values, strict=True)}, seeds=(0,))
    return results_of(make_sweep(rows, **changes), outcomes)


def test_each_parameter_that_varies_has_an_axis_on_its_own_scale():
    found = parallel_coordinates(FigureData.of(search([0.4, 0.6, 0.5])))
    assert [axis.name for axis in found.axes] == ["Temperature", "Memory kind", "Per class", "mIoU (%)"]
    temperature, kind, anchors, miou = found.axes
    assert temperature.place_T == pytest.approx((0.0, 0.5, 1.0)), "worst trial first; logarithmic"
    assert kind.place_T == (1.0, 1.0, 0.0)
    assert kind.ticks == ((0.0, "none"), (1.0, "pixel"))
    assert anchors.place_T == (0.0, 0.5, 1.0)
    assert [text for _, text in anchors.ticks] == ["50", "75", "100"]
    assert [text for _, text in temperature.ticks] == ["0.01", "0.1", "1"]
    assert miou.place_T == pytest.approx((0.0, 0.5, 1.0))
    assert found.up
    assert found.note == "A line per trial, 3 trials; blue: better; dashed: the best"


def test_where_less_is_better_the_order_turns():
    found = parallel_coordinates(FigureData.of(search([0.4, 0.6, 0.5], goal="minimize")))
    assert not found.up
    assert found.axes[-1].place_T == pytest.approx((1.0, 0.5, 0.0)), "worst first"


def test_trials_without_a_value_are_left_out_and_one_alone_is_no_figure():
    two = parallel_coordinates(FigureData.of(search([0.4, None, 0.5])))
    assert len(two.axes[0].place_T) == 2
    assert [axis.name for axis in two.axes] == ["Temperature", "Per class", "mIoU (%)"], "kind is pixel in both"
    assert parallel_coordinates(FigureData.of(search([0.4, None, None]))) is None
    assert "parallel" in choose(search([0.4, None, 0.5]), None)


def test_of_many_trials_the_best_are_drawn(monkeypatch):
    monkeypatch.setattr("reports.figures.searches.MOST_LINES", 2)
    found = parallel_coordinates(FigureData.of(search([0.4, 0.6, 0.5])))
    assert found.axes[0].place_T == pytest.approx((0.0, 1.0))
    assert "the 2 best of 3 trials" in found.note


def test_levels_of_mixed_types_and_equal_metrics_have_places():
    draws = [{"contrast.memory.kind": [64, 64]}, {"contrast.memory.kind": None}, {"contrast.memory.kind": True}]
    found = parallel_coordinates(FigureData.of(search([0.5, 0.5, 0.5], draws)))
    assert [axis.name for axis in found.axes] == ["Memory kind", "mIoU (%)"]
    assert sorted(found.axes[0].place_T) == [0.0, 0.5, 1.0]
    assert found.axes[1].place_T == (0.0, 0.0, 0.0)


def test_the_baseline_is_no_trial_and_a_parameter_that_a_trial_lacks_is_at_the_bottom():
    draws = [{"contrast.anchors.per_class": 50}, {}, {"contrast.anchors.per_class": 100}, {"contrast.source": "none"}]
    found = parallel_coordinates(FigureData.of(search([0.4, 0.6, 0.5, 0.9], draws, baseline="trial 3")))
    (anchors, _) = found.axes
    assert anchors.place_T == pytest.approx((0.15, 1.0, 0.0))
    assert anchors.ticks == ((0.0, "–"), (0.15, "50"), (1.0, "100"))
