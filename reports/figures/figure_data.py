"""A sweep ready to be drawn: the cells of its metric, in the unit of the metric's column."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from orchestrator.store.sweep_record import SweepRecord, title_of
from orchestrator.store.sweep_results import SweepResults
from orchestrator.workload.metric import titled
from reports.figures.plots import Estimate
from reports.stats.intervals import mean_interval
from reports.stats.pairs import MIN_SEEDS
from reports.tables.aggregate import Cell, aggregate, rank_rows
from reports.tables.columns import Column, column_for
from reports.tables.row_headers import key_words, row_titles, setting_keys

__all__ = ["FigureData", "axis_title", "estimate_of", "gaps_of", "interval_note"]

SPLITS = {"train": "Training", "val": "Validation"}
"""What an axis says for the first part of a metric's name."""
LONGEST_TITLE = 34
"""Letters of a row's title in a legend or beside an axis."""
AXES = {"cost/train_minutes": "Training time", "cost/step_ms": "Time per step"}
"""What an axis says where the header of the column is too short for it."""


@dataclass(frozen=True, kw_only=True)
class FigureData:
    """The results of a sweep with the cells of its metric."""

    results: SweepResults
    column: Column
    cells: Mapping[str, Cell]

    @classmethod
    def of(cls, results: SweepResults) -> FigureData:
        """The sweep with the cells of its own metric."""
        metric = results.sweep.metric
        column = column_for(metric, metrics=results.sweep.declared_metrics, metric=metric, goal=results.sweep.goal)
        return cls(results=results, column=column, cells=aggregate(results, metric))

    @property
    def sweep(self) -> SweepRecord:
        """The plan of the sweep."""
        return self.results.sweep

    @property
    def title(self) -> str:
        """Name and unit of the metric, for an axis."""
        return axis_title(self.column)

    @property
    def data_note(self) -> str:
        """`Data set: CamVid`, for the line under an axis; empty if the sweep does not name it."""
        return f"Data set: {self.sweep.data_sets[0].name}" if self.sweep.data_sets else ""

    def on_data(self, text: str) -> str:
        """`text`, and the data set if the sweep names it: `mIoU (%) on CamVid`."""
        return title_of(text, self.sweep.data_sets[0].name if self.sweep.data_sets else "")

    @property
    def baseline(self) -> str | None:
        """Label of the baseline, if it has a value."""
        name = self.sweep.baseline
        return name if name is not None and name in self.cells and self.cells[name].n else None

    def ranking(self) -> list[str]:
        """Labels of the rows with a value, best first."""
        return rank_rows(self.sweep, self.cells)

    def best(self, most: int) -> list[str]:
        """All labels in the order of the table; if there are more than `most`, the baseline and the best rows."""
        labels = [row.label for row in self.sweep.rows]
        if len(labels) <= most:
            return labels
        first = [] if self.baseline is None else [self.baseline]
        return [*first, *[label for label in self.ranking() if label not in first][: most - len(first)]]

    def of_all(self, labels: Sequence[str]) -> str:
        """How many of all rows `labels`, from `best`, are; empty if they are all."""
        if len(labels) == len(self.sweep.rows):
            return ""
        count = len(labels) - (self.baseline is not None)
        return f"the {count} best of {len(self.sweep.rows)} rows" + (" and the baseline" if self.baseline else "")

    @cached_property
    def titles(self) -> Mapping[str, str]:
        """What figures call the rows, by label; without the names of keys where `row_note` has them."""
        return row_titles(self.sweep, brief=bool(self.row_note))

    @cached_property
    def row_note(self) -> str:
        """`Rows: memory kind, pixels per class, temperature` where the titles with these words would be too long."""
        keys = max((setting_keys(row) for row in self.sweep.rows), key=len, default=())
        longest = max(map(len, row_titles(self.sweep).values()), default=0)
        return f"Rows: {', '.join(map(key_words, keys))}" if keys and longest > LONGEST_TITLE else ""

    def estimate(self, label: str) -> Estimate:
        """Seeds of a row and, from three seeds on, the 95% interval of their mean."""
        value_N = np.array([self.cells[label].values[seed] for seed in sorted(self.cells[label].values)])
        return estimate_of(value_N * self.column.scale)


def axis_title(column: Column) -> str:
    """What an axis shows, in words: `Validation mIoU (%)`, `Training loss`."""
    split, slash, rest = column.name.partition("/")
    name = AXES.get(column.key) or column.name.replace("Val ", "Validation ").replace("Best val ", "Best validation ")
    if slash and split in SPLITS:
        name = f"{SPLITS[split]} {rest.replace('_', ' ')}"
    return titled(name, column.unit)


def estimate_of(value_N: NDArray[np.float64]) -> Estimate:
    """Values with the 95% interval of their mean, from three on. Equal values give equal intervals."""
    values = tuple(map(float, value_N))
    if len(values) < MIN_SEEDS:
        return Estimate(values=values)
    interval = mean_interval(np.asarray(value_N, dtype=np.float64))
    return Estimate(values=values, interval=(interval.low, interval.high))


def interval_note(data: FigureData, middle: str = "mean", dots: str = "seeds") -> str:
    """What the intervals and the dots of a figure are."""
    if max(cell.n for cell in data.cells.values()) < MIN_SEEDS:
        return f"Dots: {dots}; fewer than {MIN_SEEDS}: no interval"
    looks = ", not corrected for seeds added until decided" if data.sweep.looks is not None else ""
    return f"95% interval of the {middle}{looks}; dots: {dots}"


def gaps_of(cell: Cell) -> str:
    """Why a row lacks values: `failed` if all have the same reason, else `2 failed, 1 not run`."""
    counts = Counter(gap.value for gap in cell.gaps.values())
    if len(counts) == 1 and not cell.n:
        return next(iter(counts))
    return ", ".join(f"{count} {reason}" for reason, count in counts.items())
