"""From single runs to the cells of a table: mean, spread, and what is missing.

Only attempts that ended `done` count. A value that is not finite is a gap like a failed run: it is counted and
named, never averaged. A cell is complete when every planned seed has a value.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum

from orchestrator.store.attempt_record import AttemptRecord, State
from orchestrator.store.sweep_record import SweepRecord
from orchestrator.store.sweep_results import SweepResults

__all__ = ["Cell", "Gap", "aggregate", "paired_difference", "rank_rows"]


class Gap(StrEnum):
    """Why a planned seed has no value."""

    FAILED = "failed"
    OUT_OF_MEMORY = "out of memory"
    DIVERGED = "diverged"
    TIMED_OUT = "timed out"
    LOST = "lost"
    """Its process or node died."""
    STOPPED = "stopped early"
    """A scheduler stopped it: its last value is not a result."""
    CANCELLED = "cancelled"
    DAMAGED = "damaged"
    """Its record is not what was written."""
    NOT_RUN = "not run"
    NOT_REPORTED = "not reported"
    """The run is done, but did not report the metric."""
    NOT_FINITE = "not finite"
    """The run is done, and the metric is NaN or infinite."""

    @property
    def of_run(self) -> bool:
        """The run itself is missing, not just this metric."""
        return self not in (Gap.NOT_REPORTED, Gap.NOT_FINITE)

    @property
    def outstanding(self) -> bool:
        """The run is still to come."""
        return self in (Gap.NOT_RUN, Gap.CANCELLED)

    @property
    def stopped(self) -> bool:
        """A scheduler has stopped the run, which is no failure."""
        return self is Gap.STOPPED


GAPS = {state: Gap[state.name] for state in State if state.name in Gap.__members__} | {
    State.USER_ERROR: Gap.FAILED,
    State.DATA_ERROR: Gap.FAILED,
}
"""What the table calls a run in a state other than `done`."""

DERIVED: Mapping[str, Callable[[AttemptRecord], float | None]] = {
    "cost/gpu_hours": lambda record: (
        record.resources["gpus"] * (record.ended_at - record.started_at) / 3600
        if record.resources.get("gpus")
        else None
    ),
}
"""Metrics computed from the record when the trial does not report them."""


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
    def mean(self) -> float | None:
        """Mean over the seeds with a value; None without any."""
        return mean_of(self.values.values()) if self.values else None

    @property
    def std(self) -> float | None:
        """Sample standard deviation (ddof 1); None below two seeds."""
        if self.n < 2:
            return None
        return spread_of(self.values.values(), mean_of(self.values.values()))

    @property
    def statistics(self) -> tuple[float | None, float | None, int, int, float | None]:
        """`mean`, `std`, `n`, `expected` and `delta`, of which the mean is computed once."""
        found, n = self.values.values(), len(self.values)
        mean = mean_of(found) if found else None
        std = None if mean is None or n < 2 else spread_of(found, mean)
        return mean, std, n, n + len(self.gaps), self.delta

    @property
    def complete(self) -> bool:
        """Every planned seed has a value."""
        return self.n == self.expected >= 1

    @property
    def rankable(self) -> bool:
        """May be marked best or second: complete, with two seeds or more."""
        return self.complete and self.n >= 2

    @property
    def provisional(self) -> bool:
        """A planned run is still to come, so the value may change."""
        return any(gap.outstanding for gap in self.gaps.values())


def mean_of(values: Collection[float]) -> float:
    """Mean of at least one value, the sum without rounding (`statistics.fmean` is three times as slow)."""
    return math.fsum(values) / len(values)


def spread_of(values: Collection[float], mean: float) -> float:
    """Sample standard deviation of two values or more, whose mean is `mean`."""
    return math.sqrt(math.fsum([(value - mean) ** 2 for value in values]) / (len(values) - 1))


def paired_difference(values: Mapping[int, float], baseline: Mapping[int, float]) -> float | None:
    """Mean of (value - baseline value of the same seed) over the shared seeds; None without a shared seed.

    Equal to the difference of the two means when both are complete. A seed that is missing on one side is left out on
    both, so that means over different seeds are never compared.
    """
    shared = [seed for seed in values if seed in baseline]
    return mean_of([values[seed] - baseline[seed] for seed in shared]) if shared else None


def aggregate(results: SweepResults, metric: str) -> dict[str, Cell]:
    """One cell of `metric` per row label, in the order of the rows, which may share trials or differ in seeds.

    Raises ValueError for results on several data sets, of which each has cells of its own (`SweepResults.by_data_set`).
    """
    sweep = results.sweep
    if sweep.on_several:
        raise ValueError(f"sweep {sweep.name!r}: aggregate the results on each data set by itself")
    values: dict[str, dict[int, float]] = {}
    gaps: dict[str, dict[int, Gap]] = {}
    outcome_of = results.outcomes.get
    for label, runs in sweep.runs_by_row.items():
        its_values, its_gaps = values.setdefault(label, {}), gaps.setdefault(label, {})
        for seed, trial_id in runs:
            found = value_or_gap(outcome_of(trial_id), metric)
            if isinstance(found, Gap):
                its_gaps[seed] = found
            else:
                its_values[seed] = found
    reference = values.get(sweep.baseline) if sweep.baseline is not None else None
    return {
        label: Cell(
            values=values[label],
            gaps=gaps[label],
            delta=None if reference is None or label == sweep.baseline else paired_difference(values[label], reference),
        )
        for label in values
    }


def value_or_gap(outcome: AttemptRecord | None, metric: str) -> float | Gap:
    """The finite value of `metric`, or why there is none."""
    if outcome is None:
        return Gap.NOT_RUN
    if outcome.state is not State.DONE:
        return GAPS[outcome.state]
    value = outcome.metrics.get(metric)
    if type(value) is float and math.isfinite(value):  # as nearly all are
        return value
    if value is None and metric in DERIVED:
        value = DERIVED[metric](outcome)
    if value is None:
        return Gap.NOT_REPORTED
    return float(value) if math.isfinite(value) else Gap.NOT_FINITE


def rank_rows(sweep: SweepRecord, cells: Mapping[str, Cell]) -> list[str]:
    """Labels of the rows with a value, best first; `cells` are those of the sweep's metric."""
    sign = 1.0 if sweep.goal == "minimize" else -1.0
    means = {label: sign * cell.mean for label, cell in cells.items() if cell.mean is not None}
    return sorted(means, key=lambda label: means[label])
