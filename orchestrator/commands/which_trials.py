"""Which trials a line is about, in a few words: rows and seeds."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from orchestrator.machine.first_few import first_few
from orchestrator.store.sweep_record import SweepRecord

__all__ = ["describe_trials", "seed_ranges"]

ROWS_NAMED = 2
"""More rows are counted."""
RANGES_NAMED = 4


def seed_ranges(seeds: Iterable[int]) -> list[str]:
    """`0-2`, `5`: each run of three or more seeds as a range, in ascending order."""
    runs: list[list[int]] = []
    for seed in sorted(set(seeds)):
        if runs and seed == runs[-1][-1] + 1:
            runs[-1].append(seed)
        else:
            runs.append([seed])
    texts: list[str] = []
    for run in runs:
        texts += [f"{run[0]}-{run[-1]}"] if len(run) > 2 else map(str, run)
    return texts


def describe_trials(plan: SweepRecord, trial_ids: Collection[str]) -> str:
    """`pixel memory, seed 1`, or `all 5 rows, seeds 0-2`: the planned runs of some trials of a plan."""
    runs = [run for run in plan.cells if run.trial_id in trial_ids]
    rows, planned = ({run.title: None for run in found} for found in (runs, plan.cells))
    if len(rows) <= ROWS_NAMED:
        named = "; ".join(rows)
    else:
        named = f"all {len(rows)} rows" if len(rows) == len(planned) else f"{len(rows)} of {len(planned)} rows"
    seeds = {run.seed for run in runs}
    return f"{named}, seed{'s' if len(seeds) > 1 else ''} {first_few(seed_ranges(seeds), RANGES_NAMED)}"
