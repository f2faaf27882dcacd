"""Rows as bars: their means, their paired differences to the baseline, and those of the classes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from reports.aggregate import aggregate
from reports.columns import IOU_PREFIX
from reports.figures.bars import BarRow, Bars
from reports.figures.classes import ClassDifference, ClassDifferences
from reports.figures.estimate import Estimate
from reports.figures.scene import Scene, estimate_of, gaps_of, interval_note
from reports.stats import compare_with, paired

__all__ = ["bars_of_differences", "bars_of_means", "class_differences"]


def bars_of_means(scene: Scene) -> Bars:
    """All rows in the order of the table."""
    rows = tuple(
        BarRow(label=label, estimate=scene.estimate(label), baseline=label == scene.sweep.baseline, note=gaps_of(cell))
        for label, cell in scene.cells.items()
    )
    return Bars(name=scene.title, rows=rows, note=interval_note(scene))


def bars_of_differences(scene: Scene, baseline: str) -> Bars:
    """Paired differences to the baseline: seeds as dots, the interval of their mean."""
    values = {label: cell.values for label, cell in scene.cells.items()}
    found = compare_with(baseline, values, np.random.default_rng(0))
    scale = scene.column.scale
    rows = []
    for label, item in found.items():
        _, difference_N = paired(values[label], values[baseline])
        ends = (item.interval.low * scale, item.interval.high * scale) if item.interval else (None, None)
        estimate = Estimate(values=tuple(map(float, difference_N * scale)), low=ends[0], high=ends[1])
        rows.append(
            BarRow(label=label, estimate=estimate, note=gaps_of(scene.cells[label]) or str(item.untested or ""))
        )
    note = interval_note(scene).replace("mean;", "mean difference;").replace("seeds", "pairs of equal seeds", 1)
    return Bars(name=f"Δ {scene.title} to “{baseline}”", rows=tuple(rows), note=note)


def class_differences(scene: Scene) -> ClassDifferences:
    """The best row other than the baseline against it, class by class; none without baseline or scored classes."""
    others = [label for label in scene.ranking() if label != scene.sweep.baseline]
    if scene.baseline is None or not others:
        return ClassDifferences(name="", classes=())
    keys = dict.fromkeys(
        key for outcome in scene.outcomes.values() for key in outcome.metrics if key.startswith(IOU_PREFIX)
    )
    classes = []
    for key in keys:
        cells = aggregate(scene.sweep, scene.outcomes, key)
        _, difference_N = paired(cells[others[0]].values, cells[scene.baseline].values)
        if len(difference_N):
            classes.append(ClassDifference(name=key.removeprefix(IOU_PREFIX), estimate=estimate_of(difference_N * 100)))
    name = f"Δ IoU (%): “{others[0]}” to “{scene.baseline}”"
    return ClassDifferences(name=name, classes=tuple(classes), note=class_note(classes))


def class_note(classes: Sequence[ClassDifference]) -> str:
    """What the intervals of the classes are, if there are any."""
    return "95 % intervals, each for itself" if any(item.estimate.ends for item in classes) else ""
