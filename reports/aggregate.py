"""From single runs to the cells of a table: mean, spread, and what is missing.

Only attempts that ended `done` count. A value that is not finite is a gap like a failed run: it is counted and
named, never averaged. Planned seeds are the yardstick: a cell is complete when every one of them has a value.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from orchestrator.records import AttemptRecord, State, SweepRecord

__all__ = ["Cell", "Gap", "aggregate", "paired_difference"]


class Gap(StrEnum):
    """Why a planned seed has no value."""

    FAILED = "failed"
    OUT_OF_MEMORY = "out of memory"
    DIVERGED = "diverged"
    TIMED_OUT = "timed out"
    LOST = "lost"
    """Its process or node died."""
    STOPPED = "stopped early"
    """A scheduler gave up on it: its last value is no result."""
    CANCELLED = "cancelled"
    NOT_RUN = "not run"
    NOT_REPORTED = "not reported"
    """The run is done, but has no such metric."""
    NOT_FINITE = "not finite"
    """The run is done, and the metric is NaN or infinite."""

    @property
    def of_run(self) -> bool:
        """The run itself is missing, not just this metric."""
        return self not in (Gap.NOT_REPORTED, Gap.NOT_FINITE)


GAPS = {
    State.OUT_OF_MEMORY: Gap.OUT_OF_MEMORY,
    State.LOST: Gap.LOST,
    State.DIVERGED: Gap.DIVERGED,
    State.TIMED_OUT: Gap.TIMED_OUT,
    State.USER_ERROR: Gap.FAILED,
    State.DATA_ERROR: Gap.FAILED,
    State.STOPPED: Gap.STOPPED,
    State.CANCELLED: Gap.CANCELLED,
}
"""What the table calls a run that ended otherwise than `done`."""

UNTRIED = (Gap.STOPPED, Gap.CANCELLED, Gap.NOT_RUN)


@dataclass(frozen=True, kw_only=True, slots=True)
class Cell:
    """One metric of one row over its seeds, in the unit of the records."""

    values: Mapping[int, float]
    """Finite values of finished runs by seed."""
    gaps: Mapping[int, Gap]
    """Planned seeds without a value."""
    delta: float | None = None
    """Paired difference to the baseline; see `paired_difference`. None for the baseline itself."""

    @property
    def n(self) -> int:
        """Seeds with a value."""
        return len(self.values)

    @property
    def expected(self) -> int:
        """Seeds planned."""
        return len(self.values) + len(self.gaps)

    @property
    def failed(self) -> int:
        """Seeds whose last attempt ended in a failure; stopped, cancelled and not run are none."""
        return sum(gap.of_run and gap not in UNTRIED for gap in self.gaps.values())

    @property
    def mean(self) -> float | None:
        """Mean over the seeds there are; None when there is none."""
        return statistics.fmean(self.values.values()) if self.values else None

    @property
    def std(self) -> float | None:
        """Sample standard deviation (ddof 1); None below two seeds."""
        return statistics.stdev(self.values.values()) if self.n >= 2 else None

    @property
    def complete(self) -> bool:
        """Every planned seed has a value."""
        return self.n == self.expected >= 1

    @property
    def rankable(self) -> bool:
        """May be called best or second: complete, and not the luck of a single seed."""
        return self.complete and self.n >= 2


def paired_difference(values: Mapping[int, float], baseline: Mapping[int, float]) -> float | None:
    """Mean over the seeds both have of (value - baseline value of the same seed); None when they share no seed.

    Equal to the difference of the two means when both are complete. When a seed is missing on one side it is left
    out on both, so that a lucky seed of one row is never compared with the average of another.
    """
    shared = [seed for seed in values if seed in baseline]
    return statistics.fmean(values[seed] - baseline[seed] for seed in shared) if shared else None


def aggregate(sweep: SweepRecord, outcomes: Mapping[str, AttemptRecord], metric: str) -> dict[str, Cell]:
    """One cell of `metric` per row label of `sweep`, in the order of its rows.

    `outcomes` maps trial ids to the attempt that counts (`orchestrator.records.read_outcomes`). Rows that share a
    trial each show it; within a row every seed counts once.
    """
    trials = {(cell.row, cell.seed): cell.trial_id for cell in sweep.cells}
    seeds: dict[str, list[int]] = {row.label: [] for row in sweep.rows}
    for label, seed in trials:
        seeds[label].append(seed)
    values: dict[str, dict[int, float]] = {}
    gaps: dict[str, dict[int, Gap]] = {}
    for row in sweep.rows:
        values[row.label], gaps[row.label] = {}, {}
        for seed in seeds[row.label]:
            outcome = outcomes.get(trials.get((row.label, seed), ""))
            found = value_or_gap(outcome, metric)
            if isinstance(found, Gap):
                gaps[row.label][seed] = found
            else:
                values[row.label][seed] = found
    cells: dict[str, Cell] = {}
    for label in values:
        delta = None
        if sweep.baseline is not None and label != sweep.baseline:
            delta = paired_difference(values[label], values.get(sweep.baseline, {}))
        cells[label] = Cell(values=values[label], gaps=gaps[label], delta=delta)
    return cells


def value_or_gap(outcome: AttemptRecord | None, metric: str) -> float | Gap:
    """The finite value of `metric`, or the reason why there is none."""
    if outcome is None:
        return Gap.NOT_RUN
    if outcome.state is not State.DONE:
        return GAPS[outcome.state]
    value = outcome.metrics.get(metric)
    if value is None:
        return Gap.NOT_REPORTED
    return float(value) if math.isfinite(value) else Gap.NOT_FINITE
