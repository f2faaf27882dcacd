"""Every kind of figure, at its worst: hostile labels, forty rows, one seed, missing values, nothing at all."""

import math
import re
from pathlib import Path
from typing import get_args

import matplotlib as mpl
import numpy as np
import pytest

import reports.figures
from reports.figures.bars import draw_bars
from reports.figures.classes import draw_classes
from reports.figures.curves import draw_curves
from reports.figures.draw import DRAWN_BY
from reports.figures.heatmap import draw_heatmap
from reports.figures.importance import draw_importance
from reports.figures.line import draw_line
from reports.figures.parallel import draw_parallel
from reports.figures.pareto import draw_pareto
from reports.figures.plots import (
    BarRow,
    Bars,
    ClassBars,
    Curve,
    Curves,
    Estimate,
    HeatMap,
    Importance,
    LinePlot,
    Parallel,
    ParallelAxis,
    Pareto,
    ParetoPoint,
    Plot,
)
from reports.figures.style import COLUMN, DARK, LIGHT, PAGE

HOSTILE = r"50% & $\tau$_{a} #1 <b> $x$ \alpha"
LONG = "a label that is long and then longer, far beyond what any figure of a paper has room for"
NONE = Estimate(values=())


def estimate(mean, seeds=3):
    values = tuple(mean + 0.3 * math.sin(7 * mean + seed) for seed in range(seeds))
    return Estimate(values=values, interval=(mean - 0.5, mean + 0.5)) if seeds > 2 else Estimate(values=values)


def bars(*rows, note="95% interval of the mean; dots: seeds"):
    return Bars(name="mIoU (%)", rows=tuple(BarRow(label=label, estimate=item) for label, item in rows), note=note)


def line(label, at, estimates, **changes):
    values = {"x_name": "Temperature", "y_name": "mIoU (%)", "note": "95% interval", **changes}
    return LinePlot(label=label, at=tuple(at), estimates=tuple(estimates), **values)


def grid(rows, columns, *, suffix="", missing=(), **changes):
    mean_YX = 45 + np.sin(np.arange(rows * columns)).reshape(rows, columns)
    for place in missing:
        mean_YX[place] = np.nan
    levels = {
        "x_levels": tuple(f"{x}{suffix}" for x in range(columns)),
        "y_levels": tuple(f"{y}{suffix}" for y in range(rows)),
    }
    return HeatMap(name="mIoU (%)", x_name="Temperature", y_name="Memory", mean_YX=mean_YX, **levels, **changes)


def curve(label, seeds=3, steps=10):
    value_ST = 40 + np.log1p(np.arange(steps)) + np.sin(np.arange(seeds))[:, None]
    value_ST[0, steps // 2 :] = np.nan
    return Curve(label=label, step_T=np.arange(steps) * 50.0, value_ST=value_ST)


def pareto(count, label="trial", **changes):
    points = tuple(ParetoPoint(label=f"{i} {label}", x=i + 1.0, y=50 - 20 / (i + 1)) for i in range(count))
    return Pareto(x_name="GPU time (h)", y_name="mIoU (%)", points=points, **changes)


def classes(count, name="class", **changes):
    items = tuple(BarRow(label=f"{i} {name}", estimate=estimate(3 * math.sin(i))) for i in range(count))
    return ClassBars(name=f"Δ IoU (%): “{HOSTILE}” to “{LONG}”", rows=items, **changes)


def parallel(axes, trials, name="parameter", **changes):
    ticks = tuple((place / 4, f"{place} {name}") for place in range(5))
    places = [tuple(abs(math.sin(place + trial)) for trial in range(trials)) for place in range(axes)]
    return Parallel(
        axes=tuple(ParallelAxis(name=f"{i} {name}", place_T=item, ticks=ticks) for i, item in enumerate(places)),
        **changes,
    )


EXAMPLES = {
    "bars": (draw_bars, bars(("base", estimate(45.0)), (HOSTILE, estimate(45.5)), (LONG, estimate(44.9)))),
    "bars-missing": (
        draw_bars,
        bars(("one seed", estimate(45, 1)), ("two", estimate(45, 2)), ("no", NONE)),
    ),
    "bars-differences": (draw_bars, bars((HOSTILE, estimate(-0.3)), ("zero", Estimate(values=(0.0, 0.0))))),
    "bars-from-zero": (draw_bars, bars(("a", estimate(10.0)), ("b", estimate(45.0)))),
    "bars-forty": (draw_bars, bars(*((f"{number} {LONG}", estimate(20.0 + number)) for number in range(40)))),
    "bars-nothing": (draw_bars, bars(("a", NONE))),
    "bars-no-rows": (draw_bars, bars()),
    "line": (draw_line, line("t", (0.05, 0.1, 0.4), map(estimate, (45, 46, 44)))),
    "line-reference": (
        draw_line,
        line(HOSTILE, (1, 2, 3), (estimate(45), NONE, estimate(45, 1)), reference=(LONG, estimate(44.0))),
    ),
    "line-underscore": (draw_line, line("_hidden", (1, 2), (NONE, estimate(44)), reference=("_b", estimate(44.0)))),
    "line-many": (draw_line, line("t", range(1000, 41000, 1000), map(estimate, range(40)))),
    "line-nothing": (draw_line, line("t", (1, 2), (NONE, NONE), reference=("b", NONE))),
    "heatmap": (draw_heatmap, grid(3, 4, std_YX=np.full((3, 4), 0.4), note="Interaction: 3% of variation")),
    "heatmap-missing": (draw_heatmap, grid(2, 6, missing=[(0, 1)], std_YX=np.full((2, 6), np.nan))),
    "heatmap-labels": (draw_heatmap, grid(3, 6, suffix=f" {HOSTILE}", note=LONG * 2)),
    "heatmap-forty": (draw_heatmap, grid(40, 4)),
    "heatmap-nothing": (draw_heatmap, grid(1, 2, missing=[(0, 0), (0, 1)])),
    "curves": (draw_curves, Curves(name="Validation mIoU (%)", curves=(curve("a"), curve(HOSTILE), curve("_b", 1)))),
    "curves-forty": (draw_curves, Curves(name="Training loss", curves=tuple(curve(f"{i} {LONG}") for i in range(40)))),
    "curves-one-point": (draw_curves, Curves(name="Training loss", curves=(curve("a", 2, 1),))),
    "curves-nothing": (draw_curves, Curves(name="Training loss", curves=())),
    "pareto": (draw_pareto, pareto(12, HOSTILE)),
    "pareto-many": (draw_pareto, pareto(200, LONG)),
    "pareto-nothing": (draw_pareto, pareto(0)),
    "classes": (draw_classes, classes(11, HOSTILE, note="95% intervals")),
    "classes-many": (draw_classes, classes(171)),
    "classes-nothing": (draw_classes, ClassBars(name="Δ", rows=(BarRow(label="a", estimate=NONE),))),
    "importance": (draw_importance, Importance(shares={"contrast.temperature": 0.7, HOSTILE: 0.3, LONG: math.nan})),
    "parallel": (draw_parallel, parallel(4, 12, note="A line per trial, 12 trials")),
    "parallel-hostile": (draw_parallel, parallel(7, 300, HOSTILE, note=LONG)),
    "parallel-two": (draw_parallel, parallel(2, 2, LONG, up=False)),
    "importance-nothing": (draw_importance, Importance(shares={})),
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_no_text_is_cut_or_overlaps(name, check_layout):
    draw, data = EXAMPLES[name]
    before = dict(mpl.rcParams)
    figure = draw(data, style=DARK if len(name) % 2 else LIGHT)
    check_layout(figure)
    assert figure.get_figheight() < 14
    assert dict(mpl.rcParams) == before, "the settings of other figures were changed"


@pytest.mark.parametrize("name", ["bars", "line-reference", "heatmap-labels", "curves", "pareto", "classes"])
@pytest.mark.parametrize("width", [COLUMN, PAGE])
def test_both_widths_of_a_paper(name, width, check_layout):
    draw, data = EXAMPLES[name]
    figure = draw(data, width=width)
    assert figure.get_figwidth() == width
    check_layout(figure)


@pytest.mark.parametrize("name", ["bars", "bars-differences", "line-reference", "curves", "pareto", "classes"])
def test_labels_are_written_as_typed(name, words):
    draw, data = EXAMPLES[name]
    assert r"50% & $\tau$_{a} #1" in words(draw(data))


def test_bars_begin_at_zero_or_are_not_bars():
    def lengths(name):
        return [patch.get_width() for patch in EXAMPLES[name][0](EXAMPLES[name][1]).axes[0].patches]

    assert lengths("bars") == []
    assert lengths("bars-from-zero") == [item.estimate.mean for item in EXAMPLES["bars-from-zero"][1].rows]
    assert lengths("bars-differences")[0] < 0


def test_figures_say_what_is_missing(words):
    row = BarRow(label="a", estimate=NONE, note="2 failed, 1 not run")
    assert "2 failed, 1 not run" in words(draw_bars(Bars(name="mIoU", rows=(row,))))
    assert "no value" in words(draw_bars(EXAMPLES["bars-nothing"][1]))
    assert "Hatched: no value" in words(draw_heatmap(EXAMPLES["heatmap-missing"][1]))
    assert "Hatched" not in words(draw_heatmap(EXAMPLES["heatmap"][1]))
    assert "131 classes between" in words(draw_classes(EXAMPLES["classes-many"][1]))
    assert "and 180 more" in words(draw_pareto(EXAMPLES["pareto-many"][1]))


def test_the_axis_is_logarithmic_where_the_values_are():
    assert draw_line(EXAMPLES["line"][1]).axes[0].get_xscale() == "log"
    assert draw_line(EXAMPLES["line-reference"][1]).axes[0].get_xscale() == "linear"


def test_a_single_seed_has_no_band():
    figure = draw_curves(Curves(name="Training loss", curves=(curve("a", 1),)))
    assert figure.get_supxlabel() == ""


def test_every_kind_of_figure_has_a_function_that_draws_it_and_is_drawn_here():
    kinds = set(get_args(Plot)) | {ClassBars}
    assert set(DRAWN_BY) == kinds
    assert {draw for draw, _ in EXAMPLES.values()} == set(DRAWN_BY.values())


def test_figures_are_drawn_without_pyplot():
    for path in Path(reports.figures.__file__).parent.glob("*.py"):
        assert not re.search(r"import.*pyplot", path.read_text(encoding="utf-8")), path


@pytest.mark.parametrize("style", [LIGHT, DARK])
def test_only_significant_classes_have_a_colour(style):
    rows = tuple(BarRow(label=label, estimate=estimate(mean)) for label, mean in (("a", 2.0), ("b", 1.0), ("c", -2.0)))
    figure = draw_classes(ClassBars(name="Δ", rows=rows, significant=("a", "c")), style=style)
    found = [mpl.colors.to_hex(patch.get_facecolor()) for patch in figure.axes[0].patches]
    assert found == [style.gain, style.muted, style.loss]


@pytest.mark.parametrize("up", [True, False])
def test_the_best_trial_of_a_search_is_drawn_last(up):
    data = parallel(3, 6, up=up)
    metric = data.axes[-1].place_T
    best = metric.index(max(metric) if up else min(metric))
    assert list(draw_parallel(data).axes[0].lines[0].get_ydata()) == [axis.place_T[best] for axis in data.axes]
