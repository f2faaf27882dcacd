"""RecentPoints: what the trials of this command have reported, for the page of the running sweep."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from orchestrator.running.task import Task
from orchestrator.store.attempt_record import Point
from orchestrator.store.running_sweep import RunningSweep, TrialProgress
from orchestrator.workload.loading import workload_of
from orchestrator.workload.metric import Metric

__all__ = ["RecentPoints"]

LOSS = "train/loss"
POINTS = 100
"""About as many are kept of a curve at most."""
MOST_TRIALS = 500
"""Of more trials no curves are kept: a page shows few, and memory would grow with the sweep."""


def local_time() -> datetime:
    """Now, with the time zone of this machine."""
    return datetime.now().astimezone()


class RecentPoints:
    """Keeps the progress of each running trial, and the curves of the loss and of the `watched` metric."""

    def __init__(self, watched: Metric, clock: Callable[[], datetime] = local_time) -> None:
        self.watched = watched
        self.clock = clock
        self.running: dict[str, TrialProgress] = {}
        self.curves: dict[str, dict[str, dict[int, float]]] = {name: {} for name in (watched.name, LOSS)}

    def started(self, task: Task, label: str) -> None:
        """A trial starts."""
        self.running[task.trial_id] = TrialProgress(label=label, steps=workload_of(task.config).steps(task.config))

    def reported(self, task: Task, point: Point) -> None:
        """A trial has a new point; of a step that is reported again, the later value counts."""
        trial = self.running.get(task.trial_id)
        if trial is None:
            return
        step = max(trial.step, point.step)
        self.running[task.trial_id] = replace(trial, step=step, metrics={**trial.metrics, **point.metrics})
        apart = (trial.steps or 0) // POINTS
        for metric, by_trial in self.curves.items():
            if metric not in point.metrics or (task.trial_id not in by_trial and len(by_trial) >= MOST_TRIALS):
                continue
            curve = by_trial.setdefault(task.trial_id, {})
            if point.step in curve or not curve or point.step - max(curve) >= apart:
                curve[point.step] = float(point.metrics[metric])

    def ended(self, task: Task) -> None:
        """A trial has ended; its curves stay."""
        self.running.pop(task.trial_id, None)

    def now(self) -> RunningSweep:
        """What is known at this moment."""
        return RunningSweep(
            at=self.clock(),
            watched=self.watched,
            trials=tuple(self.running.values()),
            curves={
                metric: {trial_id: tuple(sorted(curve.items())) for trial_id, curve in by_trial.items()}
                for metric, by_trial in self.curves.items()
            },
        )
