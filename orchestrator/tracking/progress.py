"""SweepProgress: what a terminal shows of a sweep, in plain numbers: trials, means of the rows, time left."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from orchestrator.planning.cost_forecast import ExpectedTrial
from orchestrator.running.task import Task
from orchestrator.store.attempt_record import AttemptRecord, Point, State
from orchestrator.store.sweep_record import SweepRecord
from orchestrator.tracking.row_means import RowMeans
from orchestrator.tracking.time_left import TimeLeft
from orchestrator.tracking.time_range import TimeRange

__all__ = ["RunningTrial", "SweepProgress"]

ESTIMATE_SECONDS = 0.5
"""An estimate for many trials takes some milliseconds, so it is not made again within this time."""
MANY = 100
"""With fewer trials it is."""


@dataclass(slots=True)
class RunningTrial:
    """The state of a running trial."""

    trial_id: str
    label: str
    steps: int | None
    """None where the workload does not say."""
    step: int = 0
    metrics: dict[str, float] = field(default_factory=dict)
    """Latest value of each metric."""

    @property
    def has_reported(self) -> bool:
        """Whether a point has arrived."""
        return bool(self.step or self.metrics)

    @property
    def place(self) -> str:
        """`60/100`, or the step alone."""
        return f"{self.step}/{self.steps}" if self.steps else str(self.step)


class SweepProgress:
    """Follows the trials. `clock` returns seconds."""

    def __init__(
        self,
        sweep: SweepRecord,
        outcomes: Mapping[str, AttemptRecord],
        todo: Mapping[str, ExpectedTrial],
        clock: Callable[[], float] = time.monotonic,
        rows: int = 0,
    ) -> None:
        """`todo`: the trials to run by id. `rows`: how many rows a search draws in all; 0: none is drawn."""
        self.clock = clock
        self.began = clock()
        self.sweep = sweep
        """The plan; replaced when it grows."""
        self.titles = titles_of(sweep)
        self.rows = rows
        self.left = TimeLeft(todo, lambda trial_id: self.titles.get(trial_id, ""), to_draw=self.to_draw, clock=clock)
        self.means = RowMeans(sweep, {key: outcomes[key] for key in sweep.trial_ids if key in outcomes})
        self.failures: set[str] = set()
        """Trials whose last attempt failed and that are not running again."""
        self.stopped: set[str] = set()
        """Trials that a scheduler has stopped."""
        self.running: dict[str, RunningTrial] = {}
        self.reported_metrics: set[str] = set()
        """Names of the metrics that any trial has reported."""
        self.done = sum(key in outcomes and outcomes[key].state is State.DONE for key in sweep.trial_ids)
        self.preparation = ""
        """What is being started before trials can report; empty: nothing."""
        self.waits_since = self.began
        self.estimated_at: float | None = None
        self.estimate: TimeRange | None = None

    def planned(self, sweep: SweepRecord) -> None:
        """The plan has grown."""
        self.sweep = sweep
        self.titles = titles_of(sweep)
        self.means.planned(sweep)
        self.left.to_draw = self.to_draw

    def preparing(self, what: str) -> None:
        """What is being started; empty: nothing any more."""
        self.preparation, self.waits_since = what, self.clock()

    def started(self, task: Task) -> None:
        """A trial starts."""
        expected = ExpectedTrial.of(task.config)
        if not self.preparation and not self.running:
            self.waits_since = self.clock()
        self.failures.discard(task.trial_id)
        self.left.started(task.trial_id, expected)
        label = self.sweep.label_of(task.trial_id)
        self.running[task.trial_id] = RunningTrial(trial_id=task.trial_id, label=label, steps=expected.steps)

    def reported(self, task: Task, point: Point) -> None:
        """A trial has a new point."""
        trial = self.running[task.trial_id]
        trial.step = max(trial.step, point.step)
        trial.metrics.update(point.metrics)
        self.reported_metrics.update(point.metrics)
        self.left.reported(task.trial_id, point.step)

    def ended(self, task: Task, record: AttemptRecord) -> RunningTrial:
        """A trial ended; returns its last state."""
        trial = self.running.pop(task.trial_id)
        self.left.ended(task.trial_id, record.state)
        self.means.ended(record)
        if record.state is State.DONE:
            self.done += 1
        else:
            (self.stopped if record.state is State.STOPPED else self.failures).add(task.trial_id)
        return trial

    @property
    def to_draw(self) -> int:
        """Trials that a search will still draw."""
        return max(0, self.rows - len(self.sweep.rows))

    @property
    def total(self) -> int:
        """Trials planned and to be drawn."""
        return len(self.sweep.trial_ids) + self.to_draw

    @property
    def ended_trials(self) -> int:
        """Trials that have ended, in whatever state."""
        return self.done + len(self.failures) + len(self.stopped)

    @property
    def elapsed_seconds(self) -> float:
        """Seconds since the sweep began."""
        return self.clock() - self.began

    @property
    def time_left(self) -> TimeRange | None:
        """Until the last trial ends; None before anything is measured."""
        now = self.clock()
        few = len(self.left.kinds) < MANY
        if few or self.estimated_at is None or now - self.estimated_at >= ESTIMATE_SECONDS:
            self.estimated_at, self.estimate = now, self.left.range()
        return self.estimate

    @property
    def waits_for(self) -> str:
        """What keeps the first report: `first step of pixel memory, seed 0`; empty when nothing does."""
        if self.preparation or self.left.has_reports:
            return self.preparation
        first = next(iter(list(self.running.values())), None)
        return "starting the first trial" if first is None else f"first step of {first.label}"

    @property
    def waiting_seconds(self) -> float:
        """How long it has waited for that."""
        return self.clock() - self.waits_since


def titles_of(sweep: SweepRecord) -> dict[str, str]:
    """The row of each trial, by its id; of one that several rows share, the first."""
    return {run.trial_id: run.title for run in reversed(sweep.cells)}
