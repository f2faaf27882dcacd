"""Notes on what makes rows incomparable beside their settings: the number of keys, and settings that do not act."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from statistics import fmean

from orchestrator.machine.first_few import first_few
from orchestrator.store.sweep_results import SweepResults
from reports.tables.aggregate import Gap, value_or_gap
from reports.tables.missing_runs import ROWS_NAMED

__all__ = ["FACTOR", "key_notes"]

FACTOR = 2.0
"""Rows whose keys per anchor differ by more than this are not compared on equal terms."""

KINDS = {"positives": "contrast/positives", "negatives": "contrast/negatives"}


def key_notes(results: SweepResults, shown: Sequence[str]) -> list[str]:
    """Whether the rows `shown` differ by more than a factor of 2 in keys per anchor, as recorded by their trials.

    Then what the plan says about settings with less effect than they say.
    """
    means = {kind: means_of(results, metric, set(shown)) for kind, metric in KINDS.items()}
    kinds = [kind for kind, found in means.items() if found and max(found.values()) > FACTOR * min(found.values())]
    notes = []
    if kinds:
        rows = [label for label in shown if label in means[kinds[0]]]
        numbers = [f"{label}: {' / '.join(f'{means[kind].get(label, 0.0):,.0f}' for kind in KINDS)}" for label in rows]
        notes.append(
            f"Rows differ by more than a factor of {FACTOR:g} in {' and '.join(kinds)} per anchor, so their "
            f"differences may come from that number (positives / negatives): {first_few(numbers, ROWS_NAMED, '; ')}."
        )
    return [*notes, *results.sweep.notes]


def means_of(results: SweepResults, metric: str, shown: Collection[str]) -> dict[str, float]:
    """Mean of `metric` over the seeds of each row that recorded it."""
    values: dict[str, list[float]] = {}
    for run in results.sweep.cells:
        if run.row in shown:
            found = value_or_gap(results.outcomes.get(run.trial_id), metric)
            if not isinstance(found, Gap):
                values.setdefault(run.row, []).append(found)
    return {label: fmean(found) for label, found in values.items()}
