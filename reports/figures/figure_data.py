"""A sweep ready to be drawn: the cells of its metric, in the unit of the metric's column."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from orchestrator.store.records import AttemptRecord, SweepRecord
from reports.figures.estimate import Estimate
from reports.stats import MIN_SEEDS, mean_interval
from reports.tables.aggregate import Cell, aggregate
from reports.tables.columns import Column, column_for

__all__ = ["FigureData", "estimate_of", "gaps_of", "interval_note"]


@dataclass(frozen=True, kw_only=True)
class FigureData:
    """A sweep ready to be drawn: values are scaled to the unit of the metric's column."""

    sweep: SweepRecord
    outcomes: Mapping[str, AttemptRecord]
    column: Column
    cells: Mapping[str, Cell]

    @classmethod
    def of(cls, sweep: SweepRecord, outcomes: Mapping[str, AttemptRecord]) -> FigureData:
        """The sweep with the cells of its own metric."""
        column = column_for(sweep.metric, metric=sweep.metric, goal=sweep.goal)
        return cls(sweep=sweep, outcomes=outcomes, column=column, cells=aggregate(sweep, outcomes, sweep.metric))

    @property
    def title(self) -> str:
        """Name, unit and direction of the metric."""
        return f"{self.column.header} {self.column.arrow}".strip()

    @property
    def baseline(self) -> str | None:
        """Its label, if it has a value."""
        name = self.sweep.baseline
        return name if name is not None and name in self.cells and self.cells[name].n else None

    def ranking(self) -> list[str]:
        """Labels of the rows with a value, best first."""
        sign = -1 if self.sweep.goal == "minimize" else 1
        means = {label: cell.mean for label, cell in self.cells.items() if cell.mean is not None}
        return sorted(means, key=lambda label: -sign * means[label])

    def best(self, most: int) -> list[str]:
        """All labels in the order of the table, or where they are more than `most` the baseline and the best rows."""
        labels = [row.label for row in self.sweep.rows]
        if len(labels) <= most:
            return labels
        first = [] if self.baseline is None else [self.baseline]
        return [*first, *[label for label in self.ranking() if label not in first][: most - len(first)]]

    def of_all(self, labels: Sequence[str]) -> str:
        """Says of `best` how many rows it left out; nothing where it left out none."""
        if len(labels) == len(self.sweep.rows):
            return ""
        count = len(labels) - (self.baseline is not None)
        return f"the {count} best of {len(self.sweep.rows)} rows" + (" and the baseline" if self.baseline else "")

    def estimate(self, label: str) -> Estimate:
        """Seeds of a row and the 95 % interval of their mean, from three seeds on."""
        value_N = np.array([self.cells[label].values[seed] for seed in sorted(self.cells[label].values)])
        return estimate_of(value_N * self.column.scale)


def estimate_of(value_N: NDArray[np.float64]) -> Estimate:
    """Values with the 95 % interval of their mean, where there are enough. Equal values give equal intervals."""
    values = tuple(map(float, value_N))
    if len(values) < MIN_SEEDS:
        return Estimate(values=values)
    interval = mean_interval(np.asarray(value_N, dtype=np.float64), np.random.default_rng(0))
    return Estimate(values=values, low=interval.low, high=interval.high)


def interval_note(data: FigureData, middle: str = "mean", dots: str = "seeds") -> str:
    """What the intervals and the dots of a figure are."""
    if max(cell.n for cell in data.cells.values()) < MIN_SEEDS:
        return f"Dots: {dots}; fewer than {MIN_SEEDS}: no interval"
    looks = ", not corrected for seeds added until decided" if data.sweep.looks is not None else ""
    return f"95 % interval of the {middle}{looks}; dots: {dots}"


def gaps_of(cell: Cell) -> str:
    """Why a row lacks values: `failed` where it has none at all, else `2 failed, 1 not run`."""
    counts = Counter(gap.value for gap in cell.gaps.values())
    if len(counts) == 1 and not cell.n:
        return next(iter(counts))
    return ", ".join(f"{count} {reason}" for reason, count in counts.items())
