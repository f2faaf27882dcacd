"""Learning curves from the points that the trials recorded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from orchestrator.store.run_directory import RunDirectory
from orchestrator.store.sweep_record import SweepRecord
from reports.figures.plots import Curve

__all__ = ["read_curves"]


def read_curves(
    directory: RunDirectory, sweep: SweepRecord, labels: Sequence[str], scales: Mapping[str, float]
) -> dict[str, tuple[Curve, ...]]:
    """By metric, one curve per label whose trials reported it, times its scale; reads the points of each trial once.

    If a later attempt reported a step again, its value counts. Failed trials are drawn up to their last point.
    """
    found: dict[str, list[Curve]] = {metric: [] for metric in scales}
    for label in labels:
        trials = [cell.trial_id for cell in sweep.cells if cell.row == label]
        values: dict[str, list[dict[int, float]]] = {metric: [{} for _ in trials] for metric in scales}
        for place, trial_id in enumerate(trials):
            for point in directory.points(trial_id):
                for metric in scales:
                    if (value := point.metrics.get(metric)) is not None:
                        values[metric][place][point.step] = float(value)
        for metric, value_by_step in values.items():
            if steps := sorted(set().union(*value_by_step)):
                value_ST = np.array([[item.get(step, np.nan) for step in steps] for item in value_by_step])
                step_T = np.array(steps, dtype=np.float64)
                found[metric].append(Curve(label=label, step_T=step_T, value_ST=value_ST * scales[metric]))
    return {metric: tuple(curves) for metric, curves in found.items()}
