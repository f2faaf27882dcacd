"""RowMeans: the mean of the sweep's metric over the seeds that have ended, for each row, while the sweep runs.

The tables of `reports` test and rank; this is what a terminal shows before, without pandas.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace

from orchestrator.store.attempt_record import AttemptRecord, State
from orchestrator.store.sweep_record import SweepRecord
from orchestrator.workload.metric import Metric, metric_named, validation_name

__all__ = ["RowMean", "RowMeans", "shown_metric"]


@dataclass(frozen=True, kw_only=True, slots=True)
class RowMean:
    """One row, on one data set where there are several."""

    title: str
    values: tuple[float, ...]
    """Of the seeds that have ended, in the unit of the records."""
    expected: int
    """Seeds planned."""
    is_best: bool = False
    """Whether no other row on the same data has a better mean so far."""

    @property
    def mean(self) -> float | None:
        """Mean over the seeds; None without one."""
        return math.fsum(self.values) / len(self.values) if self.values else None

    @property
    def std(self) -> float | None:
        """Sample standard deviation (ddof 1); None below two seeds."""
        if self.mean is None or len(self.values) < 2:
            return None
        return math.sqrt(math.fsum((value - self.mean) ** 2 for value in self.values) / (len(self.values) - 1))

    @property
    def seeds(self) -> str:
        """`2/3`."""
        return f"{len(self.values)}/{self.expected}"

    def text(self, metric: Metric) -> str:
        """`31.57 ± 2.81`; a dash without a value."""
        if self.mean is None:
            return "–"
        spread = "" if self.std is None else f" ± {metric.digits(self.std)}"
        return f"{metric.digits(self.mean)}{spread}".replace("-", "−")


class RowMeans:
    """Collects values as trials end."""

    def __init__(self, sweep: SweepRecord, outcomes: Mapping[str, AttemptRecord]) -> None:
        """`outcomes`: of earlier commands, by trial id."""
        self.sweep = sweep
        self.metric = shown_metric(sweep)
        self.value: dict[str, float] = {}
        """By trial id."""
        self.changes = 0
        self.found: tuple[int, tuple[RowMean, ...]] = (-1, ())
        """The means after as many changes. Another thread may compute them while a trial ends."""
        for record in outcomes.values():
            self.ended(record)

    def planned(self, sweep: SweepRecord) -> None:
        """The plan has grown."""
        self.sweep = sweep
        self.changes += 1

    def ended(self, record: AttemptRecord) -> None:
        """A trial has ended; only one that is done, with a finite value, has one."""
        value = record.metrics.get(self.metric.name)
        if record.state is State.DONE and value is not None and math.isfinite(value):
            self.value[record.trial_id] = value
            self.changes += 1

    def rows(self) -> tuple[RowMean, ...]:
        """All rows in the order of the plan."""
        changes, rows = self.found
        if changes != self.changes:
            changes = self.changes
            rows = self.compute()
            self.found = (changes, rows)
        return rows

    def best_first(self) -> list[RowMean]:
        """All rows, the best mean first, and those without a value last."""
        sign = 1.0 if self.sweep.goal == "minimize" else -1.0
        return sorted(self.rows(), key=lambda row: math.inf if row.mean is None else sign * row.mean)

    def completed_by(self, trial_id: str) -> list[RowMean]:
        """The rows of several seeds that have all their values, of which this trial's was the last."""
        titles = {run.title for run in self.sweep.cells if run.trial_id == trial_id}
        found = [row for row in self.rows() if row.title in titles]
        return [row for row in found if len(row.values) == row.expected > 1]

    def compute(self) -> tuple[RowMean, ...]:
        """The means, of which the best on each data set is marked."""
        values: dict[tuple[str, str], list[float]] = {}
        expected: Counter[tuple[str, str]] = Counter()
        for run in self.sweep.cells:
            expected[run.data, run.title] += 1
            found = values.setdefault((run.data, run.title), [])
            if run.trial_id in self.value:
                found.append(self.value[run.trial_id])
        sign = -1.0 if self.sweep.goal == "minimize" else 1.0
        rows: list[tuple[str, RowMean]] = []
        best: dict[str, float] = {}
        for (data, title), found in values.items():
            row = RowMean(title=title, values=tuple(found), expected=expected[data, title])
            rows.append((data, row))
            if row.mean is not None:
                best[data] = max(best.get(data, -math.inf), sign * row.mean)
        return tuple(
            replace(row, is_best=len(rows) > 1 and row.mean is not None and sign * row.mean == best[data])
            for data, row in rows
        )


def shown_metric(sweep: SweepRecord) -> Metric:
    """The metric of the sweep, of the split and in the precision of its table."""
    name = validation_name(sweep.metric) if sweep.table.split == "val" else sweep.metric
    metric = metric_named(name, sweep.declared_metrics)
    return replace(metric, decimals=sweep.table.precision.get(sweep.metric, metric.decimals))
