"""Driver: runs what is left of a plan and keeps what happens; the store first, then everybody who watches."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from orchestrator.execution.base import Executor, Task
from orchestrator.identity import canonical
from orchestrator.plan import SweepPlan, Trial
from orchestrator.records import AttemptRecord, Point, State
from orchestrator.store import RecordStore
from orchestrator.tracking.base import Tracker
from trainer.config import Runtime

__all__ = ["Driver", "left_to_run"]


def left_to_run(plan: SweepPlan, outcomes: Mapping[str, AttemptRecord]) -> tuple[Trial, ...]:
    """Trials of the plan that no attempt has brought to its end, in the plan's order."""
    done = {trial_id for trial_id, record in outcomes.items() if record.state is State.DONE}
    return tuple(trial for trial in plan.trials if trial.trial_id not in done)


class Driver:
    """The one writer of the store while a sweep runs. A `Listener` for the executor, which it feeds."""

    def __init__(self, store: RecordStore, trackers: Sequence[Tracker]) -> None:
        self.store = store
        self.trackers = tuple(trackers)
        self.outcomes: dict[str, AttemptRecord] = {}

    def run(
        self,
        plan: SweepPlan,
        outcomes: Mapping[str, AttemptRecord],
        runtime: Runtime,
        executor: Callable[[], Executor],
    ) -> dict[str, AttemptRecord]:
        """Run the trials of `plan` that `outcomes` lacks; returns the outcomes of all, by trial id.

        `executor` is called only when there is something to run. KeyboardInterrupt passes through: all that ended
        is kept, and the same call goes on from there.
        """
        self.outcomes = dict(outcomes)
        tasks = [self.task(trial, runtime) for trial in left_to_run(plan, outcomes)]
        for tracker in self.trackers:
            tracker.begin(plan.record, outcomes)
        if tasks:
            executor().run(tasks, self)
        return self.outcomes

    def task(self, trial: Trial, runtime: Runtime) -> Task:
        """The next attempt at a trial."""
        return Task(
            trial_id=trial.trial_id,
            attempt=self.store.next_attempt(trial.trial_id),
            config=trial.config,
            runtime=runtime,
            workdir=self.store.workdir(trial.trial_id),
        )

    def finish(self, artifacts: Mapping[str, Path], *, completed: bool) -> None:
        """Tell the trackers that the sweep is over, with the files written for it."""
        for tracker in self.trackers:
            tracker.finish(self.outcomes, artifacts, completed)

    # -- what the executor tells

    def started(self, task: Task) -> None:
        """Keep the start, hand it on."""
        self.store.start(task.trial_id, task.attempt, canonical(task.config), time.time())
        for tracker in self.trackers:
            tracker.started(task)

    def reported(self, task: Task, point: Point) -> None:
        """Keep the point, hand it on."""
        self.store.append(task.trial_id, point)
        for tracker in self.trackers:
            tracker.reported(task, point)

    def ended(self, task: Task, record: AttemptRecord) -> None:
        """Keep the record, durably, before anybody hears of it."""
        self.store.end(record)
        self.outcomes[task.trial_id] = record
        for tracker in self.trackers:
            tracker.ended(task, record)
