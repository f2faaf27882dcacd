"""Sequential comparison (`seeds: {until: decided}`): which rows get further seeds, and the correction for the looks."""

from __future__ import annotations

from functools import cache

import numpy as np

from orchestrator.store.sweep_record import SweepRecord
from orchestrator.store.sweep_results import SweepResults
from reports.stats.looks import Looks, calibrate, undecided
from reports.tables.aggregate import aggregate

__all__ = ["looks_of", "open_rows"]


def looks_of(sweep: SweepRecord) -> Looks | None:
    """The looks that the tests of a sweep are corrected for; None where the number of seeds was fixed."""
    return calibrated(*sweep.looks) if sweep.looks is not None else None


@cache
def calibrated(first: int, last: int) -> Looks:
    """The looks at `first` to `last` seeds, from a fixed random seed."""
    return calibrate(first, last, np.random.default_rng(0))


def open_rows(results: SweepResults, *, first: int, last: int) -> set[str]:
    """Labels of the rows whose difference to the baseline in the sweep's metric is undecided.

    Only rows are compared whose planned seeds all have a value on both sides: further seeds do not replace failed ones.
    """
    sweep = results.sweep
    if sweep.baseline is None:
        return set()
    cells = aggregate(results, sweep.metric)
    baseline = cells[sweep.baseline].values
    differences = {}
    for label, cell in cells.items():
        shared = sorted(cell.values.keys() & baseline.keys())
        if label != sweep.baseline and len(shared) == cell.expected:
            differences[label] = np.array([cell.values[seed] - baseline[seed] for seed in shared])
    return undecided(differences, calibrated(first, last))
