"""SweepProgress: how far a sweep is and when it will be over; plain numbers, no terminal."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from orchestrator.running.task import Task
from orchestrator.store.records import AttemptRecord, Point, State, SweepRecord

__all__ = ["RunningTrial", "SweepProgress"]


@dataclass(slots=True)
class RunningTrial:
    """What is known of a trial that is running now."""

    label: str
    steps: int
    step: int = 0
    metrics: dict[str, float] = field(default_factory=dict)
    """Latest value of each metric."""


class SweepProgress:
    """Counts trials and their cost. `clock` gives seconds; tests pass their own."""

    def __init__(
        self,
        sweep: SweepRecord,
        outcomes: Mapping[str, AttemptRecord],
        todo: Mapping[str, float],
        clock: Callable[[], float] = time.monotonic,
        to_draw: int = 0,
    ) -> None:
        """`todo` maps the ids of the trials to run to what each costs, in any unit: seconds, or steps.

        `to_draw`: trials that a search will still add to them.
        """
        self.clock = clock
        self.began = clock()
        self.cost = dict(todo)
        self.to_draw = to_draw
        self.shares: dict[str, float] = {}
        """How much of each trial is over, 0..1."""
        self.failures: set[str] = set()
        """Trials whose last attempt failed and that do not run again at the moment."""
        self.running: dict[str, RunningTrial] = {}
        self.labels: dict[str, str] = {}
        self.planned(sweep)
        known = {key: record for key, record in outcomes.items() if key in self.ids}
        self.done = sum(record.state is State.DONE for record in known.values())

    def planned(self, sweep: SweepRecord) -> None:
        """Learn which trials there are."""
        self.ids = {cell.trial_id for cell in sweep.cells}
        for cell in sweep.cells:
            self.labels.setdefault(cell.trial_id, f"{cell.row} · seed {cell.seed}")

    @property
    def total(self) -> int:
        """Trials planned and to be drawn."""
        return len(self.ids) + self.to_draw

    @property
    def failed(self) -> int:
        """Trials that ended otherwise than done."""
        return len(self.failures)

    def started(self, task: Task) -> None:
        """A trial takes a slot."""
        if task.trial_id not in self.cost:  # drawn by a search: as dear as the others are on average
            self.cost[task.trial_id] = self.mean_cost
            self.to_draw = max(0, self.to_draw - 1)
        self.failures.discard(task.trial_id)
        self.shares.pop(task.trial_id, None)
        label = self.labels.get(task.trial_id, task.trial_id)
        self.running[task.trial_id] = RunningTrial(label=label, steps=task.config.schedule.steps)

    def reported(self, task: Task, point: Point) -> None:
        """A trial is further on."""
        trial = self.running[task.trial_id]
        trial.step = max(trial.step, point.step)
        trial.metrics.update(point.metrics)
        self.shares[task.trial_id] = max(self.shares.get(task.trial_id, 0.0), trial.step / trial.steps)

    def ended(self, task: Task, record: AttemptRecord) -> RunningTrial:
        """A trial leaves its slot; returns what was known of it."""
        trial = self.running.pop(task.trial_id)
        self.shares[task.trial_id] = 1.0
        if record.state is State.DONE:
            self.done += 1
        else:
            self.failures.add(task.trial_id)
        return trial

    @property
    def mean_cost(self) -> float:
        """Of the trials whose cost is known."""
        return sum(self.cost.values()) / len(self.cost) if self.cost else 1.0

    @property
    def elapsed_seconds(self) -> float:
        """Since the sweep began."""
        return self.clock() - self.began

    @property
    def eta_seconds(self) -> float | None:
        """Seconds until the last planned step, each trial weighed by its cost, at the rate seen so far.

        None before the first step.
        """
        over = sum(self.cost.get(key, 0.0) * share for key, share in self.shares.items())
        if over <= 0:
            return None
        left = sum(self.cost.values()) + self.to_draw * self.mean_cost - over
        return left * self.elapsed_seconds / over
