"""Planned runs that gave no result: which rows and seeds, and why."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from orchestrator.store.records import AttemptRecord, SweepRecord
from reports.tables.aggregate import Gap, value_or_gap

__all__ = ["MissingRun", "find_missing_runs", "name_runs"]

ROWS_NAMED = 8
"""A note names at most this many rows; the list of missing_runs names all."""


@dataclass(frozen=True, kw_only=True, slots=True)
class MissingRun:
    """One trial without the sweep's metric. Rows that share the trial share the missing_run."""

    rows: tuple[str, ...]
    seed: int
    trial_id: str
    gap: Gap
    kind: str = ""
    """Class name of the exception; empty when nothing was raised."""
    message: str = ""

    @property
    def reason(self) -> str:
        """One line, for example `failed: DataError: no such folder`."""
        return ": ".join(part for part in (self.gap.value, self.kind, self.message) if part)


def find_missing_runs(sweep: SweepRecord, outcomes: Mapping[str, AttemptRecord]) -> tuple[MissingRun, ...]:
    """All planned runs that are not done, or are done without a finite value of the sweep's metric, as planned."""
    rows: dict[tuple[str, int], list[str]] = {}
    for cell in sweep.cells:
        rows.setdefault((cell.trial_id, cell.seed), []).append(cell.row)
    missing_runs = []
    for (trial_id, seed), labels in rows.items():
        outcome = outcomes.get(trial_id)
        gap = value_or_gap(outcome, sweep.metric)
        if not isinstance(gap, Gap):
            continue
        error = outcome.error if outcome is not None else None
        missing_runs.append(
            MissingRun(
                rows=tuple(labels),
                seed=seed,
                trial_id=trial_id,
                gap=gap,
                kind=error.kind if error else "",
                message=error.message if error else "" if gap.of_run else sweep.metric,
            )
        )
    return tuple(missing_runs)


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
