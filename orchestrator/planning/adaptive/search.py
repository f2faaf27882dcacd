"""SearchPlan: the plan of a search, which grows by the trials that its study suggests."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from orchestrator.errors import SpecError, SpecErrorCollector
from orchestrator.planning.adaptive.base import GrowingPlan
from orchestrator.planning.adaptive.study import Study
from orchestrator.planning.build_config import ConfigBuilder
from orchestrator.planning.datasets import DataFacts, DataKey, data_facts, data_key
from orchestrator.planning.plan import CACHE, SweepPlan, Trial, json_value, seeded_trials
from orchestrator.planning.resolve import check_class_count, check_weights, resolve_suggestion
from orchestrator.spec.blocks import Scheduler
from orchestrator.spec.distributions import Search
from orchestrator.spec.settings import config_leaves
from orchestrator.spec.sweep_spec import SweepSpec
from orchestrator.store.backends import LocalFiles
from orchestrator.store.records import AttemptRecord, PlannedRun, Point, Row, sweep_key
from orchestrator.store.run_directory import RunDirectory
from trainer.config import ScheduleConfig, TrainConfig

__all__ = ["SearchPlan", "TrialBuilder", "open_search"]

JOURNAL = "study.journal"
"""File of a search's study, beside the record of its sweep."""


class TrialBuilder:
    """Builds the trials of a search. Each data set is read once, so a further trial is cheap."""

    def __init__(self, spec: SweepSpec, search: Search, *, run_dir: Path) -> None:
        self.spec = spec
        self.search = search
        self.cache_dir = run_dir / CACHE
        self.configs = ConfigBuilder()
        self.facts: dict[DataKey, DataFacts] = {}

    def build(self, number: int, values: Mapping[str, Any]) -> tuple[Row, Trial]:
        """Trial `number` of the search with `values` by dotted key; inactive parameters are ignored.

        Raises SpecError, with the lines of the parameters, for values or combinations that the trainer refuses.
        """
        suggested: dict[str, Any] = {}
        for item in self.search.active(suggested):
            try:
                suggested[item.key] = config_leaves()[item.key].check(values[item.key])
            except ValueError as error:
                raise SpecError(f"{item.origin}: {item.key}: {error}") from error
        row = resolve_suggestion(self.search, self.spec.base, self.configs, suggested)
        key = data_key(row.config.data)
        if key not in self.facts:
            self.facts[key] = data_facts(row, self.cache_dir)
        errors = SpecErrorCollector()
        with errors:
            check_weights(row)
        with errors:
            check_class_count(row, self.facts[key])
        errors.raise_any()
        factors = {key: json_value(value) for key, value in suggested.items()}
        (trial,) = seeded_trials(row.config, self.spec.seeds, self.facts[key].digest)
        return Row(label=f"trial {number}", factors=factors), trial


class SearchPlan(GrowingPlan):
    """The plan of a search. The study is told the outcome of a suggested trial that is known without a new run."""

    def __init__(
        self,
        plan: SweepPlan,
        study: Study,
        scheduler: Scheduler | None,
        build_trial: Callable[[int, Mapping[str, Any]], tuple[Row, Trial]],
        save_journal: Callable[[], None] = lambda: None,
    ) -> None:
        """`build_trial` is `TrialBuilder.build`; an object store needs `save_journal` after each suggestion."""
        self.save_journal = save_journal
        self.study = study
        self.scheduler = scheduler
        self.build_trial = build_trial
        self.record = plan.record
        self.trials = {trial.trial_id: trial for trial in plan.trials}
        self.numbers: dict[str, list[int]] = {}
        """Numbers of the study's trials that wait for each of ours."""
        self.suggested = {number: self.add(number, values) for number, values in study.suggestions()}
        """Our trial for each number of the study; None for values that make no legal config."""

    @property
    def exhausted(self) -> bool:
        """Whether the study has suggested all its trials."""
        return self.study.exhausted

    def resume(self, outcomes: Mapping[str, AttemptRecord]) -> list[Trial]:
        """Continue the study of earlier commands; returns those of its trials that still have to run."""
        waiting = []
        for number in self.study.unfinished():
            trial = self.suggested[number]
            if trial is None:
                self.study.fail(number)
            elif self.must_run(number, trial, outcomes):
                waiting.append(trial)
        return waiting

    def next_trial(self, outcomes: Mapping[str, AttemptRecord]) -> Trial | None:
        """The next suggested trial to run; None when the study is exhausted."""
        while not self.study.exhausted:
            number, values = self.study.ask()
            self.save_journal()
            trial = self.add(number, values)
            if trial is None:
                self.study.fail(number)
            elif self.must_run(number, trial, outcomes):
                return trial
        return None

    def must_run(self, number: int, trial: Trial, outcomes: Mapping[str, AttemptRecord]) -> bool:
        """Whether `trial` must run to answer `number`; not if its outcome is known or another number waits for it."""
        known = outcomes.get(trial.trial_id)
        if known is not None and self.record.ends_trial(known.state):
            self.study.tell(number, known)
            return False
        numbers = self.numbers.setdefault(trial.trial_id, [])
        numbers.append(number)
        return len(numbers) == 1

    def add(self, number: int, values: Mapping[str, Any]) -> Trial | None:
        """Add a suggested trial to the plan; None for values that the trainer refuses."""
        try:
            row, trial = self.build_trial(number, values)
        except SpecError:
            return None
        run = PlannedRun(row=row.label, seed=trial.config.seed, trial_id=trial.trial_id)
        self.record = replace(self.record, rows=(*self.record.rows, row), cells=(*self.record.cells, run))
        self.trials[trial.trial_id] = trial
        return trial

    def should_stop(self, trial_id: str, point: Point) -> bool:
        """Report a point of a running trial; returns whether the scheduler stops the trial."""
        if self.scheduler is None:
            return False
        name = metric_while_training(self.study.objectives[0].name)
        config = self.trials[trial_id].config
        stop = False
        for number in self.numbers.get(trial_id, ()) if name in point.metrics else ():
            stop = self.study.report(number, point.step, point.metrics[name]) or stop
        return stop and first_step_to_stop(config, self.scheduler) <= point.step < config.schedule.steps

    def ended(self, trial_id: str, record: AttemptRecord) -> None:
        """A trial has ended and will not be retried."""
        for number in self.numbers.pop(trial_id, ()):
            self.study.tell(number, record)


def metric_while_training(metric: str) -> str:
    """Name of a final metric before the end of training: `final/miou` is reported as `val/miou`."""
    return metric.replace("final/", "val/", 1)


def first_step_to_stop(config: TrainConfig, scheduler: Scheduler) -> int:
    """First step at which a trial may be stopped: after its grace period and the start of its contrastive loss."""
    steps = config.schedule.steps
    warmup_steps = 0 if config.contrast.source == "none" else int(config.contrast.warmup_fraction * steps)
    return max(math.ceil(scheduler.grace_fraction * steps), warmup_steps + 1)


def open_search(spec: SweepSpec, search: Search, plan: SweepPlan, directory: RunDirectory) -> SearchPlan:
    """The search with its study as earlier commands left it; the journal of an object store is copied here first."""
    key = sweep_key(plan.record.name, JOURNAL)
    journal = directory.local_folder / key
    if not isinstance(directory.files, LocalFiles) and (content := directory.files.read(key)) is not None:
        journal.parent.mkdir(parents=True, exist_ok=True)
        journal.write_bytes(content)
    steps = spec.base["schedule.steps"].value if "schedule.steps" in spec.base else ScheduleConfig().steps
    study = Study(search, spec.space.metric, spec.space.scheduler, journal=journal, steps=steps)
    build_trial = TrialBuilder(spec, search, run_dir=directory.local_folder).build
    return SearchPlan(plan, study, spec.space.scheduler, build_trial, partial(save_journal, directory, key, journal))


def save_journal(directory: RunDirectory, key: str, journal: Path) -> None:
    """Copy the journal to an object store; a local run directory holds the file itself."""
    if not isinstance(directory.files, LocalFiles):
        directory.files.write(key, journal.read_bytes())
