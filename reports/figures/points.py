"""Learning curves from the points that the trials of a sweep recorded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np

from orchestrator.store.records import SweepRecord
from orchestrator.store.run_directory import RunDirectory
from reports.figures.curves import Curve

__all__ = ["CURVES", "read_curves"]

CURVES: Mapping[str, str] = MappingProxyType({"curves": "val/miou", "loss": "train/loss"})
"""Name of the figure -> metric of its points."""


def read_curves(
    directory: RunDirectory, sweep: SweepRecord, labels: Sequence[str], metric: str, scale: float = 1.0
) -> tuple[Curve, ...]:
    """One curve per label whose trials reported `metric`, times `scale`.

    If a later attempt reported a step again, its value counts. Failed trials are drawn up to their last point.
    """
    curves = []
    for label in labels:
        trials = [cell.trial_id for cell in sweep.cells if cell.row == label]
        value_by_step = [read_metric(directory, trial_id, metric) for trial_id in trials]
        steps = sorted({step for values in value_by_step for step in values})
        if steps:
            value_ST = np.array([[values.get(step, np.nan) for step in steps] for values in value_by_step])
            curves.append(Curve(label=label, step_T=np.array(steps, dtype=np.float64), value_ST=value_ST * scale))
    return tuple(curves)


def read_metric(directory: RunDirectory, trial_id: str, metric: str) -> dict[int, float]:
    """Step -> value of one metric of one trial."""
    return {
        point.step: float(point.metrics[metric])
        for point in directory.points(trial_id)
        if point.metrics.get(metric) is not None
    }
