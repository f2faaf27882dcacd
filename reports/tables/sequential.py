"""Which rows of a sweep further seeds may still tell apart from the baseline."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

import numpy as np

from orchestrator.store.records import AttemptRecord, SweepRecord
from reports.stats import Looks, calibrate, decide
from reports.tables.aggregate import aggregate

__all__ = ["looks_of", "open_rows"]


@cache
def looks_of(first: int, last: int) -> Looks:
    """The looks at `first` to `last` seeds; always the same ones."""
    return calibrate(first, last, np.random.default_rng(0))


def open_rows(sweep: SweepRecord, outcomes: Mapping[str, AttemptRecord], *, first: int, last: int) -> set[str]:
    """Labels of the rows whose difference to the baseline in the sweep's metric is not decided yet.

    Only seeds that both have count: a row that fails, or a baseline that does, is not topped up for that.
    """
    if sweep.baseline is None:
        return set()
    cells = aggregate(sweep, outcomes, sweep.metric)
    baseline = cells[sweep.baseline].values
    differences = {}
    for label, cell in cells.items():
        shared = sorted(cell.values.keys() & baseline.keys())
        if label != sweep.baseline and len(shared) == len(cell.values) + len(cell.gaps):
            differences[label] = np.array([cell.values[seed] - baseline[seed] for seed in shared])
    if not differences:
        return set()
    decisions = decide(differences, looks_of(first, last), maximize=sweep.goal == "maximize")
    return {label for label, decision in decisions.items() if not decision.decided}
