"""SweepProgress: counts trials and estimates the time left; plain numbers, no terminal."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from orchestrator.running.task import Task
from orchestrator.store.records import AttemptRecord, Point, State, SweepRecord
from orchestrator.workload.loading import workload_of

__all__ = ["RunningTrial", "SweepProgress"]


@dataclass(slots=True)
class RunningTrial:
    """The state of a running trial."""

    label: str
    steps: int | None
    """None where the workload does not say."""
    step: int = 0
    metrics: dict[str, float] = field(default_factory=dict)
    """Latest value of each metric."""

    @property
    def place(self) -> str:
        """`60/100`, or the step alone."""
        return f"{self.step}/{self.steps}" if self.steps else str(self.step)


class SweepProgress:
    """Counts trials and their cost. `clock` returns seconds."""

    def __init__(
        self,
        sweep: SweepRecord,
        outcomes: Mapping[str, AttemptRecord],
        todo: Mapping[str, float],
        clock: Callable[[], float] = time.monotonic,
        to_draw: int = 0,
    ) -> None:
        """`todo` maps the ids of the trials to run to their cost, in any unit: seconds, or steps.

        `to_draw`: how many trials a search will still draw.
        """
        self.clock = clock
        self.began = clock()
        self.cost = dict(todo)
        self.to_draw = to_draw
        self.shares: dict[str, float] = {}
        """The fraction of each trial that is done, 0..1."""
        self.failures: set[str] = set()
        """Trials whose last attempt failed and that are not running again."""
        self.running: dict[str, RunningTrial] = {}
        self.sweep = sweep
        """The plan; replaced when it grows."""
        self.done = sum(key in outcomes and outcomes[key].state is State.DONE for key in sweep.trial_ids)

    @property
    def total(self) -> int:
        """Trials planned and to be drawn."""
        return len(self.sweep.trial_ids) + self.to_draw

    def started(self, task: Task) -> None:
        """A trial starts."""
        if task.trial_id not in self.cost:  # drawn by a search: assume the average cost
            self.cost[task.trial_id] = self.mean_cost
            self.to_draw = max(0, self.to_draw - 1)
        self.failures.discard(task.trial_id)
        self.shares.pop(task.trial_id, None)
        label = self.sweep.label_of(task.trial_id)
        self.running[task.trial_id] = RunningTrial(label=label, steps=workload_of(task.config).steps(task.config))

    def reported(self, task: Task, point: Point) -> None:
        """A trial has a new point."""
        trial = self.running[task.trial_id]
        trial.step = max(trial.step, point.step)
        trial.metrics.update(point.metrics)
        if trial.steps:
            self.shares[task.trial_id] = max(self.shares.get(task.trial_id, 0.0), trial.step / trial.steps)

    def ended(self, task: Task, record: AttemptRecord) -> RunningTrial:
        """A trial ended; returns its last state."""
        trial = self.running.pop(task.trial_id)
        self.shares[task.trial_id] = 1.0
        if record.state is State.DONE:
            self.done += 1
        else:
            self.failures.add(task.trial_id)
        return trial

    @property
    def mean_cost(self) -> float:
        """Average cost of the trials whose cost is known."""
        return sum(list(self.cost.values())) / len(self.cost) if self.cost else 1.0

    @property
    def elapsed_seconds(self) -> float:
        """Seconds since the sweep began."""
        return self.clock() - self.began

    @property
    def eta_seconds(self) -> float | None:
        """Estimated seconds left: the cost that is left, at the rate so far; None before the first step."""
        over = sum(self.cost.get(key, 0.0) * share for key, share in list(self.shares.items()))
        if over <= 0:
            return None
        left = sum(list(self.cost.values())) + self.to_draw * self.mean_cost - over
        return left * self.elapsed_seconds / over
