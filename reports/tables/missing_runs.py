"""Planned runs without a result: which rows and seeds, and why."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from orchestrator.store.attempt_record import ErrorRecord
from orchestrator.store.sweep_record import SweepRecord
from orchestrator.store.sweep_results import SweepResults
from reports.tables.aggregate import Gap, value_or_gap

__all__ = ["MissingRun", "find_missing_runs", "name_runs", "rows_by_trial"]

ROWS_NAMED = 8
"""A note names at most this many rows; the list of missing runs names all."""


@dataclass(frozen=True, kw_only=True, slots=True)
class MissingRun:
    """One trial without the sweep's metric, and all rows that share it."""

    rows: tuple[str, ...]
    seed: int
    trial_id: str
    gap: Gap
    error: ErrorRecord | None
    """None when nothing was raised."""
    metric: str
    """The metric that a finished run lacks; empty for a run that is not done."""

    @property
    def kind(self) -> str:
        """Class name of the exception; empty when nothing was raised."""
        return self.error.kind if self.error else ""

    @property
    def reason(self) -> str:
        """One line, for example `failed: DataError: no such folder`."""
        message = self.error.message if self.error else self.metric
        return ": ".join(part for part in (self.gap.value, self.kind, message) if part)


def rows_by_trial(sweep: SweepRecord) -> dict[tuple[str, int], tuple[str, ...]]:
    """Rows that share a trial (`PlannedRun.title`), by trial id and seed, in the order of the plan."""
    rows: dict[tuple[str, int], tuple[str, ...]] = {}
    for run in sweep.cells:
        key = run.trial_id, run.seed
        rows[key] = (*rows.get(key, ()), run.title)
    return rows


def find_missing_runs(results: SweepResults) -> tuple[MissingRun, ...]:
    """All planned runs that are not done, or are done without a finite value of the sweep's metric, as planned."""
    missing = []
    for (trial_id, seed), rows in rows_by_trial(results.sweep).items():
        outcome = results.outcomes.get(trial_id)
        gap = value_or_gap(outcome, results.sweep.metric)
        if isinstance(gap, Gap):
            error = outcome.error if outcome is not None else None
            metric = "" if gap.of_run else results.sweep.metric
            missing.append(MissingRun(rows=rows, seed=seed, trial_id=trial_id, gap=gap, error=error, metric=metric))
    return tuple(missing)


def name_runs(runs: Iterable[tuple[str, int]]) -> str:
    """Rows and their seeds in one line: `pixel memory, seeds 0, 2; region memory, seed 1`."""
    seeds: dict[str, list[int]] = {}
    for row, seed in runs:
        seeds.setdefault(row, []).append(seed)
    parts = [
        f"{row}, seed{'s' if len(numbers) > 1 else ''} {', '.join(map(str, numbers))}"
        for row, numbers in list(seeds.items())[:ROWS_NAMED]
    ]
    if len(seeds) > ROWS_NAMED:
        parts.append(f"and {len(seeds) - ROWS_NAMED} more rows")
    return "; ".join(parts)
