"""Draws the files of figures with matplotlib; which function draws which data."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from matplotlib.figure import Figure

from reports.figures.bars import draw_bars
from reports.figures.classes import draw_classes
from reports.figures.curves import draw_curves
from reports.figures.drawing import Drawing
from reports.figures.formats import render
from reports.figures.heatmap import draw_heatmap
from reports.figures.importance import draw_importance
from reports.figures.line import draw_line
from reports.figures.parallel import draw_parallel
from reports.figures.pareto import draw_pareto
from reports.figures.plots import Bars, ClassBars, Curves, HeatMap, Importance, LinePlot, Parallel, Pareto
from reports.figures.style import DARK, LIGHT, PAPERS

__all__ = ["draw_files"]

DRAWN_BY: Mapping[type, Callable[..., Figure]] = {
    Bars: draw_bars,
    ClassBars: draw_classes,
    Curves: draw_curves,
    HeatMap: draw_heatmap,
    Importance: draw_importance,
    LinePlot: draw_line,
    Parallel: draw_parallel,
    Pareto: draw_pareto,
}


def draw_files(drawing: Drawing) -> dict[str, bytes]:
    """The content of the file of each format."""
    style = PAPERS[drawing.paper] if drawing.paper else DARK if drawing.dark else LIGHT
    return render(DRAWN_BY[type(drawing.plot)](drawing.plot, style=style), drawing.formats, style)
