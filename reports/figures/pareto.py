"""Pareto front: a metric against a cost."""

from __future__ import annotations

import math
from collections.abc import Sequence

from matplotlib.figure import Figure

from reports.figures.plots import Pareto, ParetoPoint
from reports.figures.style import LIGHT, PAGE, Style, canvas
from reports.figures.text import fitted, literal

__all__ = ["draw_pareto", "front_of"]

MOST_NAMED = 20
"""Points of the front that are listed beside the axes."""

APART = 0.12
"""Smallest distance in inches between two points that each have a number."""


def front_of(data: Pareto) -> tuple[ParetoPoint, ...]:
    """Points that no other point dominates, by rising x; of equal points all are on the front or none."""
    points = [point for point in data.points if math.isfinite(point.x) and math.isfinite(point.y)]
    best_first = sorted(
        points, key=lambda point: (-point.x if data.x_up else point.x, -point.y if data.y_up else point.y)
    )
    front: list[ParetoPoint] = []
    for point in best_first:
        gain = math.inf if not front else (point.y - front[-1].y) * (1 if data.y_up else -1)
        if gain > 0 or (point.x, point.y) == (front[-1].x, front[-1].y):
            front.append(point)
    return tuple(sorted(front, key=lambda point: point.x))


def draw_pareto(data: Pareto, *, style: Style = LIGHT, width: float = PAGE) -> Figure:
    """All points, the front as steps, its points numbered and listed at the right."""
    front = front_of(data)
    named = front[:MOST_NAMED]
    height = max(2.4, 0.6 + 0.15 * len(named))
    with canvas(width, height, style) as (figure, axes):
        others = [point for point in data.points if point not in front]
        axes.scatter([p.x for p in others], [p.y for p in others], s=10, color=style.muted, alpha=0.6, linewidths=0)
        # between two points of the front, the one with the better x is attainable
        where = "pre" if data.x_up else "post"
        axes.plot(
            [p.x for p in front],
            [p.y for p in front],
            drawstyle=f"steps-{where}",
            color=style.first,
            linewidth=1.0,
            zorder=2,
        )
        axes.scatter([p.x for p in front], [p.y for p in front], s=16, color=style.first, linewidths=0, zorder=3)
        for place, point in number_places(named, (0.6 * width, height - 0.6), data.points):
            axes.annotate(
                place, (point.x, point.y), xytext=(3, 3), textcoords="offset points", fontsize=6.5, color=style.text
            )
        axes.set_xlabel(literal(data.x_name))
        axes.set_ylabel(literal(data.y_name))
        axes.grid()
        axes.margins(0.06)
        lines = [f"{index}  {fitted(point.label, 40, 1)}" for index, point in enumerate(named, start=1)]
        if len(front) > len(named):
            lines.append(f"and {len(front) - len(named)} more")
        if lines:
            axes.annotate(
                "\n".join(lines),
                (1.02, 1.0),
                xycoords="axes fraction",
                va="top",
                fontsize=6.5,
                linespacing=1.45,
                color=style.text,
            )
        else:
            axes.text(0.5, 0.5, "no points", transform=axes.transAxes, ha="center", color=style.muted, style="italic")
            axes.set(xticks=[], yticks=[])
    return figure


def number_places(
    front: Sequence[ParetoPoint], inches: tuple[float, float], points: Sequence[ParetoPoint]
) -> list[tuple[str, ParetoPoint]]:
    """The numbers beside the front's points; neighbours too close on axes of size `inches` share one: `3-5`."""
    known = [point for point in points if math.isfinite(point.x) and math.isfinite(point.y)]
    spans = [
        (max(values) - min(values)) or 1.0 for values in ([p.x for p in known] or [0.0], [p.y for p in known] or [0.0])
    ]
    groups: list[list[int]] = []
    for index, point in enumerate(front):
        last = front[groups[-1][-1]] if groups else None
        if (
            last is not None
            and math.hypot((point.x - last.x) / spans[0] * inches[0], (point.y - last.y) / spans[1] * inches[1]) < APART
        ):
            groups[-1].append(index)
        else:
            groups.append([index])
    return [
        (str(group[0] + 1) if len(group) == 1 else f"{group[0] + 1}-{group[-1] + 1}", front[group[-1]])
        for group in groups
    ]
