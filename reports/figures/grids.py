"""A grid as a line over one factor, or as a heat map of two."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from orchestrator.store.sweep_record import Row
from reports.figures.figure_data import FigureData, interval_note
from reports.figures.plots import HeatMap, LinePlot
from reports.stats.interaction import interaction
from reports.tables.columns import Column
from reports.tables.row_headers import key_titles, level_texts

__all__ = ["factors_of", "heatmap_of", "is_full", "is_numeric", "line_over"]

Factors = Mapping[str, tuple[object, ...]]
"""Dotted key -> its levels."""


def factors_of(rows: Sequence[Row]) -> dict[str, tuple[object, ...]]:
    """The keys that rows vary, with their levels in the order of the rows; None where a row lacks the key."""
    keys = dict.fromkeys(key for row in rows for key in row.factors)
    levels = {key: unique([row.factors.get(key) for row in rows]) for key in keys}
    return {key: found for key, found in levels.items() if len(found) > 1}


def unique(values: list[object]) -> tuple[object, ...]:
    """Without repetition; by `repr`, since levels may be lists and `1` is not `True`."""
    return tuple({repr(value): value for value in values}.values())


def is_numeric(levels: Sequence[object]) -> bool:
    """Whether all levels are numbers."""
    return all(isinstance(level, int | float) and not isinstance(level, bool) for level in levels)


def is_full(rows: Sequence[Row], factors: Factors) -> bool:
    """Whether no two rows have the same pair of levels, and more than half of all pairs have a row."""
    pairs = [tuple(repr(row.factors.get(key)) for key in factors) for row in rows]
    first, second = factors.values()
    return len(set(pairs)) == len(pairs) > len(first) * len(second) / 2


def line_over(data: FigureData, rows: Sequence[Row], key: str) -> LinePlot:
    """The metric over one numeric factor."""
    ordered = sorted(rows, key=lambda row: float(row.factors[key]))
    (name,) = key_titles((key,))
    outside = data.baseline if all(row.label != data.baseline for row in rows) else None
    return LinePlot(
        x_name=name,
        y_name=data.title,
        label=name,
        at=tuple(float(row.factors[key]) for row in ordered),
        estimates=tuple(data.estimate(row.label) for row in ordered),
        reference=(data.titles[outside], data.estimate(outside)) if outside is not None else None,
        note="; ".join(filter(None, (data.data_note, interval_note(data)))),
    )


def heatmap_of(data: FigureData, rows: Sequence[Row], factors: Factors) -> HeatMap:
    """Means of a two-factor grid; the factor with more levels is on the x axis."""
    (y_key, y_levels), (x_key, x_levels) = sorted(factors.items(), key=lambda item: len(item[1]))
    y_texts, x_texts = level_texts(rows, y_key), level_texts(rows, x_key)
    y_name, x_name = key_titles((y_key, x_key))
    seeds = data.sweep.seeds
    value_SYX = np.full((len(seeds), len(y_levels), len(x_levels)), np.nan)
    y_place = {repr(level): place for place, level in enumerate(y_levels)}
    x_place = {repr(level): place for place, level in enumerate(x_levels)}
    for row in rows:
        y, x = y_place[repr(row.factors.get(y_key))], x_place[repr(row.factors.get(x_key))]
        for place, seed in enumerate(seeds):
            value_SYX[place, y, x] = data.cells[row.label].values.get(seed, np.nan) * data.column.scale
    cells_S = pd.DataFrame(value_SYX.reshape(len(seeds), -1))
    shape = value_SYX.shape[1:]
    return HeatMap(
        name=data.title,
        x_name=x_name,
        y_name=y_name,
        x_levels=tuple(level_text(x_texts, level) for level in x_levels),
        y_levels=tuple(level_text(y_texts, level) for level in y_levels),
        mean_YX=cells_S.mean().to_numpy().reshape(shape),
        std_YX=cells_S.std().to_numpy().reshape(shape) if len(seeds) > 1 else None,
        decimals=data.column.decimals,
        note="; ".join(filter(None, (data.data_note, interaction_note(value_SYX, data.column)))),
    )


def level_text(texts: Mapping[str, str], level: object) -> str:
    """What tables call a level; a dash for rows without the key."""
    return "–" if level is None else texts[repr(level)]


def interaction_note(value_SYX: NDArray[np.float64], column: Column) -> str:
    """How far the two factors are from additive, in one line."""
    found = interaction(value_SYX)
    if found is None:
        return "Interaction: needs a seed with every cell"
    largest = float(np.abs(found.residual_YX).max())
    unit = "points" if column.unit == "%" else column.unit
    text = f"Interaction: {100 * found.share:.0f}% of variation, up to {largest:.{column.decimals}f} {unit}"
    return f"{text.strip()}, p = {found.p:.2g}" if found.p is not None else f"{text.strip()}; one seed: no test"
