"""SearchPlan: the plan of a search, which grows by the trials that its study suggests."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from orchestrator.errors import SpecError, SpecErrorCollector
from orchestrator.planning.adaptive.base import GrowingPlan
from orchestrator.planning.adaptive.recorded_study import RecordedStudy, drawn_label, earlier_plan, recorded_study
from orchestrator.planning.adaptive.study import Study
from orchestrator.planning.build_config import ConfigBuilder
from orchestrator.planning.plan import CACHE, SweepPlan, Trial, json_value, seeded_trials
from orchestrator.planning.resolve import check_inputs, check_row, read_inputs, resolve_suggestion
from orchestrator.planning.selection import check_selection
from orchestrator.spec.blocks import Scheduler
from orchestrator.spec.distributions import Search
from orchestrator.spec.settings import config_leaves, extended_by
from orchestrator.spec.sweep_spec import SweepSpec
from orchestrator.spec.workload_in_use import reading_for
from orchestrator.store.attempt_record import AttemptRecord, Point
from orchestrator.store.run_directory import RunDirectory
from orchestrator.store.sweep_record import PlannedRun, Row
from orchestrator.workload.inputs import Inputs
from orchestrator.workload.loading import workload_of

__all__ = ["BuildTrial", "SearchPlan", "TrialBuilder", "open_search"]

logger = logging.getLogger(__name__)

BuildTrial = Callable[[int, Mapping[str, Any]], tuple[Row, Trial]]
"""`TrialBuilder.build`."""


class TrialBuilder:
    """Builds the trials of a search. Inputs such as a data set are read once, so a further trial is cheap."""

    def __init__(self, spec: SweepSpec, search: Search, *, run_dir: Path) -> None:
        self.spec = spec
        self.search = search
        self.cache_dir = run_dir / CACHE
        self.configs = ConfigBuilder(spec.workload, spec.extension)
        self.inputs: dict[Hashable, Inputs] = {}

    def build(self, number: int, values: Mapping[str, Any]) -> tuple[Row, Trial]:
        """Trial `number` of the search with `values` by dotted key; inactive parameters are ignored.

        Raises SpecError, with the lines of the parameters, for values or combinations that the trainer refuses and for
        an active parameter without a value.
        """
        with reading_for(self.spec.workload), extended_by(self.spec.extension):
            return self.built(number, values)

    def built(self, number: int, values: Mapping[str, Any]) -> tuple[Row, Trial]:
        """`build`, while the workload of the search and its plugins are in use."""
        suggested: dict[str, Any] = {}
        for item in self.search.active(suggested):
            if item.key not in values:
                raise SpecError(f"{item.origin}: {item.key}: trial {number} has no value of it")
            try:
                suggested[item.key] = config_leaves()[item.key].check(values[item.key])
            except ValueError as error:
                raise SpecError(f"{item.origin}: {item.key}: {error}") from error
        row = resolve_suggestion(self.search, self.spec.base, self.configs, suggested)
        workload = self.spec.workload
        inputs_key = workload.inputs_key(row.config)
        if inputs_key not in self.inputs:
            inputs = read_inputs(workload, row, self.cache_dir)
            check_selection(self.spec, inputs)
            self.inputs[inputs_key] = inputs
        inputs = self.inputs[inputs_key]
        errors = SpecErrorCollector()
        with errors:
            check_row(workload, self.spec.space.resources, row)
        with errors:
            check_inputs(workload, row, inputs)
        errors.raise_any()
        factors = {key: json_value(value) for key, value in suggested.items()}
        (trial,) = seeded_trials(row.config, self.spec.seeds, inputs.digest)
        return Row(label=drawn_label(number), factors=factors, titles=workload.titles(factors, row.config)), trial


class SearchPlan(GrowingPlan):
    """The plan of a search. The study is told the outcome of a suggested trial that is known without a new run."""

    def __init__(
        self,
        plan: SweepPlan,
        study: Study,
        build_trial: BuildTrial,
        recorded: RecordedStudy | None = None,
        points: Callable[[str], Iterable[Point]] = lambda _: (),
    ) -> None:
        """`recorded` is what earlier commands drew; `points` gives the recorded points of a trial, by its id."""
        self.study = study
        self.build_trial = build_trial
        self.points = points
        self.record = plan.record
        self.trials = {trial.trial_id: trial for trial in plan.trials}
        self.numbers: dict[str, list[int]] = {}
        """Numbers of the study's trials that wait for each of ours."""
        self.stopping: set[int] = set()
        """Numbers that the scheduler stopped in an earlier command, which was killed before the trial ended."""
        recorded = recorded or RecordedStudy()
        drawn = self.build_all(recorded)
        if tuple(trial.trial_id for _, trial in drawn.values()) != recorded.trial_ids:
            recorded, drawn = recorded.superseded("settings, data or result version"), {}
        self.differences = recorded.differences
        self.suggested = {number: trial for number, (_, trial) in drawn.items()}
        """Our trial for each number of the study that earlier commands drew."""
        for number, values in recorded.suggestions if drawn else ():
            study.restore(number, values)
        study.drawn = max(study.drawn, recorded.drawn)
        self.prior = self.build_prior(recorded)
        self.add_rows(list(drawn.values()))
        self.note_prior([values for values, _ in self.prior])

    def build_all(self, recorded: RecordedStudy) -> dict[int, tuple[Row, Trial]]:
        """Row and trial of each recorded suggestion, by number; none if one of them could not be drawn any more."""
        if not all(self.study.fits(values) for _, values in recorded.suggestions):
            return {}
        try:
            return {number: self.build_trial(number, values) for number, values in recorded.suggestions}
        except SpecError:
            return {}

    def build_prior(self, recorded: RecordedStudy) -> list[tuple[Mapping[str, Any], Trial]]:
        """Values and trial of each recorded prior trial that is one of this search space."""
        prior = []
        for values in recorded.prior:
            try:
                prior.append((values, self.build_trial(0, values)[1]))
            except SpecError:
                continue
        return prior

    @property
    def candidates(self) -> Mapping[str, Trial]:
        """The trials of the plan, and those of other studies that the sampler may learn from."""
        return {**{trial.trial_id: trial for _, trial in self.prior}, **self.trials}

    @property
    def exhausted(self) -> bool:
        """Whether the study has suggested all its trials."""
        return self.study.exhausted

    def resume(self, outcomes: Mapping[str, AttemptRecord]) -> list[Trial]:
        """Continue the study of earlier commands; returns those of its trials that still have to run."""
        used = [
            values
            for values, trial in self.prior
            if trial.trial_id in outcomes
            and self.study.add_prior(values, outcomes[trial.trial_id], self.points_to_watch(trial))
        ]
        self.note_prior(used)
        if self.differences:
            logger.warning(
                "%s: another study than the recorded one (different: %s). It draws %d trials, and its sampler learns "
                "from %d finished trials of the recorded one",
                self.record.name,
                ", ".join(self.differences),
                self.study.search.trials,
                len(used),
            )
        self.report_again(self.suggested)
        return [trial for number, trial in self.suggested.items() if self.must_run(number, trial, outcomes)]

    def next_trial(self, outcomes: Mapping[str, AttemptRecord]) -> Trial | None:
        """The next suggested trial to run; None when the study is exhausted."""
        while not self.study.exhausted:
            number, values = self.study.ask()
            trial = self.add(number, values)
            if trial is None:
                self.study.fail(number)
                continue
            if trial.trial_id in outcomes:
                self.report_again({number: trial})
            if self.must_run(number, trial, outcomes):
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

    def report_again(self, suggested: Mapping[int, Trial]) -> None:
        """Report the recorded points of trials again, in the order of their times, so that pruners know their rungs."""
        events = [
            (point, number, trial) for number, trial in suggested.items() for point in self.points_to_watch(trial)
        ]
        for point, number, trial in sorted(events, key=lambda event: event[0].time):
            if self.stops_at(number, trial, point):
                self.stopping.add(number)

    def points_to_watch(self, trial: Trial) -> Iterable[Point]:
        """The recorded points of a trial; none without a scheduler, which alone needs them."""
        return self.points(trial.trial_id) if self.study.scheduler is not None else ()

    def add(self, number: int, values: Mapping[str, Any]) -> Trial | None:
        """Add a suggested trial to the plan; None for values that the trainer refuses."""
        try:
            row, trial = self.build_trial(number, values)
        except SpecError:
            self.add_rows([])
            return None
        self.add_rows([(row, trial)])
        return trial

    def add_rows(self, drawn: Sequence[tuple[Row, Trial]]) -> None:
        """Add drawn trials to the plan, and the number of draws so far."""
        runs = [PlannedRun(row=row.label, seed=trial.config.seed, trial_id=trial.trial_id) for row, trial in drawn]
        self.record = replace(
            self.record,
            rows=(*self.record.rows, *(row for row, _ in drawn)),
            cells=(*self.record.cells, *runs),
            search={**self.record.search, "drawn": self.study.drawn},
        )
        self.trials.update({trial.trial_id: trial for _, trial in drawn})

    def note_prior(self, prior: Sequence[Mapping[str, Any]]) -> None:
        """Record the values of the trials of other studies that the sampler learns from."""
        plain = [{key: json_value(value) for key, value in values.items()} for values in prior]
        self.record = replace(self.record, search={**self.record.search, "prior": plain})

    def should_stop(self, trial_id: str, point: Point) -> bool:
        """Report a point of a running trial; returns whether the scheduler stops the trial."""
        stops = [self.stops_at(number, self.trials[trial_id], point) for number in self.numbers.get(trial_id, ())]
        return any(stops) or not self.stopping.isdisjoint(self.numbers.get(trial_id, ()))

    def stops_at(self, number: int, trial: Trial, point: Point) -> bool:
        """Report a point of a trial to the study; returns whether the scheduler stops the trial there."""
        stop = self.study.report(number, point)
        steps = workload_of(trial.config).steps(trial.config)
        return (
            stop and steps is not None and first_step_to_stop(trial.config, self.study.scheduler) <= point.step < steps
        )

    def ended(self, trial_id: str, record: AttemptRecord) -> None:
        """A trial has ended and will not be retried."""
        for number in self.numbers.pop(trial_id, ()):
            self.study.tell(number, record)


def first_step_to_stop(config: Any, scheduler: Scheduler | None) -> int:
    """First step at which a trial may be stopped: after its grace period and its warm-up."""
    workload = workload_of(config)
    steps = workload.steps(config) or 0
    if scheduler is None:
        return steps
    warmup = workload.extras.warmup_fraction
    warmup_steps = 0 if warmup is None else int(warmup(config) * steps)
    return max(math.ceil(scheduler.grace_fraction * steps), warmup_steps + 1)


def open_search(spec: SweepSpec, search: Search, plan: SweepPlan, directory: RunDirectory) -> SearchPlan:
    """The search as earlier commands left it, from the plan and the records in the run directory."""
    key = spec.workload.extras.steps_key
    steps = spec.base[key].value if key in spec.base else spec.workload.steps(spec.workload.config_type())
    study = Study(search, spec.space.metric, spec.space.scheduler, steps=steps or 1)
    build_trial = TrialBuilder(spec, search, run_dir=directory.local_folder).build
    recorded = recorded_study(plan.record, earlier_plan(directory, plan.record.name))
    return SearchPlan(plan, study, build_trial, recorded, directory.points)
