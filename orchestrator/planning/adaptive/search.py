"""SearchPlan: the part of a plan that is drawn while it runs. Joins a search's study with the trials it stands for."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from orchestrator.errors import SpecError
from orchestrator.planning.adaptive.study import Study
from orchestrator.planning.plan import SweepPlan, Trial
from orchestrator.spec.blocks import Scheduler
from orchestrator.store.records import AttemptRecord, PlannedRun, Point, Row, State
from trainer.config import TrainConfig

__all__ = ["SearchPlan"]

DrawTrial = Callable[[int, Mapping[str, Any]], tuple[Row, Trial]]
"""From a number and values to the row and the trial they make (`orchestrator.planning.plan.draw_trial`)."""


class SearchPlan:
    """Grows a plan by the trials its study draws. A drawn trial that is known already is told of without running."""

    def __init__(
        self,
        plan: SweepPlan,
        study: Study,
        scheduler: Scheduler | None,
        make: DrawTrial,
        keep: Callable[[], None] = lambda: None,
    ) -> None:
        """`keep` makes what the study has drawn durable, where its journal is not so by itself."""
        self.keep = keep
        self.study = study
        self.scheduler = scheduler
        self.make = make
        self.record = plan.record
        self.trials = {trial.trial_id: trial for trial in plan.trials}
        self.numbers: dict[str, list[int]] = {}
        """Numbers of the study's trials that wait for each of our trials."""
        self.drawn = {number: self.grow(number, values) for number, values in study.drawn()}
        """What the study holds, as our trials; None for values that make no legal config."""

    @property
    def candidates(self) -> Mapping[str, Trial]:
        """All it has drawn."""
        return self.trials

    @property
    def exhausted(self) -> bool:
        """All trials are drawn."""
        return self.study.exhausted

    def resume(self, outcomes: Mapping[str, AttemptRecord]) -> list[Trial]:
        """Take up what earlier drivers drew; returns the trials of it that are to be run."""
        waiting = []
        for number in self.study.unfinished():
            trial = self.drawn[number]
            if trial is None:
                self.study.fail(number)
            elif self.waits(number, trial, outcomes):
                waiting.append(trial)
        return waiting

    def draw(self, outcomes: Mapping[str, AttemptRecord]) -> Trial | None:
        """The next trial that is to be run; None when the search has drawn all it may."""
        while not self.study.exhausted:
            number, values = self.study.draw()
            self.keep()
            trial = self.grow(number, values)
            if trial is None:
                self.study.fail(number)
            elif self.waits(number, trial, outcomes):
                return trial
        return None

    def waits(self, number: int, trial: Trial, outcomes: Mapping[str, AttemptRecord]) -> bool:
        """Note that trial `number` of the study waits for ours; False where that one is over or waited for already."""
        known = outcomes.get(trial.trial_id)
        if known is not None and known.state in (State.DONE, State.STOPPED):
            self.study.tell(number, known)
            return False
        numbers = self.numbers.setdefault(trial.trial_id, [])
        numbers.append(number)
        return len(numbers) == 1

    def grow(self, number: int, values: Mapping[str, Any]) -> Trial | None:
        """Put a drawn trial into the plan; None for values that the trainer refuses."""
        try:
            row, trial = self.make(number, values)
        except SpecError:
            return None
        seed = trial.config.seed
        self.record = replace(
            self.record,
            rows=(*self.record.rows, row),
            cells=(*self.record.cells, PlannedRun(row=row.label, seed=seed, trial_id=trial.trial_id)),
        )
        self.trials[trial.trial_id] = trial
        return trial

    def stops(self, trial_id: str, point: Point) -> bool:
        """Note a point of a running trial; returns whether the scheduler gives up on it."""
        if self.scheduler is None:
            return False
        name = on_the_way(self.study.objectives[0].name)
        config = self.trials[trial_id].config
        stop = False
        for number in self.numbers.get(trial_id, ()) if name in point.metrics else ():
            stop = self.study.report(number, point.step, point.metrics[name]) or stop
        return stop and point.step >= first_step_to_judge(config, self.scheduler) and point.step < config.schedule.steps

    def ended(self, trial_id: str, record: AttemptRecord) -> None:
        """A trial is over for good."""
        for number in self.numbers.pop(trial_id, ()):
            self.study.tell(number, record)


def on_the_way(metric: str) -> str:
    """Name under which a final metric is reported during training: `final/miou` is `val/miou` until then."""
    return metric.replace("final/", "val/", 1)


def first_step_to_judge(config: TrainConfig, scheduler: Scheduler) -> int:
    """No trial is stopped before its grace is over and its contrastive loss has had a say (issue 4)."""
    steps = config.schedule.steps
    contrast = 0 if config.contrast.source == "none" else int(config.contrast.warmup_fraction * steps)
    return max(math.ceil(scheduler.grace_fraction * steps), contrast + 1)
