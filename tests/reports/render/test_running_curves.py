"""The curves on the page of a running sweep: means and ranges of what the seeds have reported so far."""

from datetime import UTC, datetime

import pytest

from orchestrator.store.running_sweep import RunningSweep
from orchestrator.workload.metric import Metric
from reports.render.html import render_html
from reports.render.running_curves import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, charts_of, summary
from reports.tables.table import build_table
from tests.reports.conftest import results_of

LOSS = "train/loss"


def running(curves):
    watched = Metric(name="val/miou", title="Val mIoU", unit="%")
    return RunningSweep(at=datetime(2026, 11, 28, tzinfo=UTC), watched=watched, curves=curves)


def test_a_step_has_the_mean_and_the_range_of_the_seeds_that_have_reported_it():
    curves = [((10, 1.0), (20, 2.0), (30, float("nan"))), ((10, 3.0),)]
    assert summary(curves, 100.0) == [(10, 200.0, 100.0, 300.0), (20, 200.0, 200.0, 200.0)]


def test_rows_fill_the_axes_and_the_baseline_comes_first(sweep_of):
    sweep = sweep_of({"a": {}, "base": {}, "b": {}}, baseline="base")
    curves = {"a#0": ((0, 4.0), (100, 2.0)), "base#0": ((0, 3.0), (100, 1.0)), "base#1": ((0, 4.0), (50, 1.5))}
    (chart,) = charts_of(results_of(sweep, {}), running({LOSS: curves, "val/miou": {}}))
    assert [line.label for line in chart.lines] == ["base", "a"]
    assert chart.name == "Training loss"
    base, other = chart.lines
    assert other.mean == f"{LEFT},{TOP} {WIDTH - RIGHT},{y_of(2.0):.1f}"
    assert base.mean == f"{LEFT},{y_of(3.5):.1f} 250.0,{y_of(1.5):.1f} {WIDTH - RIGHT},{HEIGHT - BOTTOM}"
    assert base.band.split()[0] == f"{LEFT},{TOP}"
    assert other.band == "", "one seed has no range"
    assert chart.x_ticks[0] == (LEFT, "0")
    assert chart.x_ticks[-1] == (WIDTH - RIGHT, "100")
    assert [text for _, text in chart.y_ticks] == ["1", "1.75", "2.5", "3.25", "4"]


def y_of(value):
    """Of an axis from 1 to 4."""
    return HEIGHT - BOTTOM - (value - 1) / 3 * (HEIGHT - TOP - BOTTOM)


@pytest.mark.parametrize("curves", [{}, {"a#0": ((10, 1.0),)}, {"gone#0": ((1, 1.0), (2, 2.0))}])
def test_one_point_or_none_is_no_chart(sweep_of, curves):
    assert charts_of(results_of(sweep_of({"a": {}}), {}), running({LOSS: curves})) == ()


def test_equal_values_are_a_line(sweep_of):
    (chart,) = charts_of(results_of(sweep_of({"a": {}}), {}), running({LOSS: {"a#0": ((1, 2.0), (3, 2.0))}}))
    assert chart.lines[0].mean.count(f",{HEIGHT - BOTTOM}") == 2


def test_the_page_draws_them_with_the_colours_of_their_rows(sweep_of):
    results = results_of(sweep_of({"a": {}, "<b>": {}}), {})
    of_rows = {"a#0": ((0, 1.0), (9, 2.0)), "<b>#0": ((0, 3.0), (9, 2.0)), "<b>#1": ((0, 4.0), (9, 2.0))}
    now = running({LOSS: of_rows})
    page = render_html(build_table(results), running=now, charts=charts_of(results, now))
    assert page.count('<polyline class="row0"') == page.count('<polyline class="row1"') == 1
    assert page.count('<polygon class="row1"') == 1
    assert '<polygon class="row0"' not in page
    assert '<i class="row1"></i>&lt;b&gt;' in page
    assert page.count("Learning curves so far") == 1


def test_of_many_rows_the_baseline_and_the_best_so_far_are_drawn(sweep_of, outcomes_of):
    rows = {f"row {number}": {"x": number} for number in range(9)}
    outcomes = outcomes_of({f"row {number}": [number / 10] for number in range(3, 9)})
    curves = {f"{label}#0": ((0, 2.0), (9, 1.0)) for label in rows}
    (chart,) = charts_of(results_of(sweep_of(rows), outcomes), running({LOSS: curves}))
    assert [line.label for line in chart.lines] == ["row 0", "row 8", "row 7", "row 6", "row 5", "row 4"]
