"""SweepProgress: how far a sweep is and when it will be over; plain numbers, no terminal."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from orchestrator.execution.base import Task
from orchestrator.records import AttemptRecord, Point, State, SweepRecord

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
    """Counts trials and steps. `clock` gives seconds; tests pass their own."""

    def __init__(
        self,
        sweep: SweepRecord,
        outcomes: Mapping[str, AttemptRecord],
        todo: Mapping[str, int],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`todo` maps the ids of the trials to run to their number of steps."""
        self.clock = clock
        self.began = clock()
        self.todo = dict(todo)
        ids = {cell.trial_id for cell in sweep.cells}
        self.total = len(ids)
        self.done = sum(record.state is State.DONE for key, record in outcomes.items() if key in ids)
        self.failed = 0
        self.running: dict[str, RunningTrial] = {}
        self.steps_done = 0
        self.labels: dict[str, str] = {}
        for cell in sweep.cells:
            self.labels.setdefault(cell.trial_id, f"{cell.row} · seed {cell.seed}")

    def started(self, task: Task) -> None:
        """A trial takes a slot."""
        label = self.labels.get(task.trial_id, task.trial_id)
        self.running[task.trial_id] = RunningTrial(label=label, steps=task.config.schedule.steps)

    def reported(self, task: Task, point: Point) -> None:
        """A trial is further on."""
        trial = self.running[task.trial_id]
        self.steps_done += max(point.step - trial.step, 0)
        trial.step = max(trial.step, point.step)
        trial.metrics.update(point.metrics)

    def ended(self, task: Task, record: AttemptRecord) -> RunningTrial:
        """A trial leaves its slot; returns what was known of it."""
        trial = self.running.pop(task.trial_id)
        self.steps_done += trial.steps - trial.step
        if record.state is State.DONE:
            self.done += 1
        else:
            self.failed += 1
        return trial

    @property
    def elapsed_seconds(self) -> float:
        """Since the sweep began."""
        return self.clock() - self.began

    @property
    def eta_seconds(self) -> float | None:
        """Seconds until the last planned step at the rate seen so far; None before the first step."""
        if self.steps_done == 0:
            return None
        return (sum(self.todo.values()) - self.steps_done) * self.elapsed_seconds / self.steps_done
