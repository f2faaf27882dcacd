"""Learning curves from the points that the trials of a sweep left behind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import numpy as np

from orchestrator.store.records import SweepRecord
from orchestrator.store.run_directory import RunDirectory
from reports.figures.curves import Curve

__all__ = ["CURVES", "read_curves"]

CURVES: Mapping[str, str] = MappingProxyType({"curves": "val/miou", "loss": "train/loss"})
"""Name of the figure -> metric of its points."""


def read_curves(
    run_dir: Path | str, sweep: SweepRecord, labels: Sequence[str], metric: str, scale: float = 1.0
) -> tuple[Curve, ...]:
    """One curve per label whose trials reported `metric`, times `scale`.

    Where a later attempt wrote a step again, its value counts. Trials of failed attempts are drawn as far as they came.
    """
    curves = []
    for label in labels:
        trials = [cell.trial_id for cell in sweep.cells if cell.row == label]
        value_by_step = [read_metric(run_dir, trial_id, metric) for trial_id in trials]
        steps = sorted({step for values in value_by_step for step in values})
        if steps:
            value_ST = np.array([[values.get(step, np.nan) for step in steps] for values in value_by_step])
            curves.append(Curve(label=label, step_T=np.array(steps, dtype=np.float64), value_ST=value_ST * scale))
    return tuple(curves)


def read_metric(run_dir: Path | str, trial_id: str, metric: str) -> dict[int, float]:
    """Step -> value of one metric of one trial."""
    return {
        point.step: float(point.metrics[metric])
        for point in RunDirectory(run_dir).points(trial_id)
        if point.metrics.get(metric) is not None
    }
