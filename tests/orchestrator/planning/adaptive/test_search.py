"""The plan of a search, which grows while it runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from orchestrator.errors import SpecError
from orchestrator.planning.adaptive.recorded_study import recorded_study
from orchestrator.planning.adaptive.search import SearchPlan, first_step_to_stop
from orchestrator.planning.adaptive.study import Study
from orchestrator.planning.plan import SweepPlan, Trial
from orchestrator.spec.blocks import Scheduler
from orchestrator.spec.distributions import Distribution, Objective, Search
from orchestrator.store.attempt_record import AttemptRecord, Point, State
from orchestrator.store.sweep_record import Row, SweepRecord
from trainer.config import ContrastConfig, ScheduleConfig, TrainConfig

MakeRecord = Callable[..., AttemptRecord]
STEPS = 40


def make(number: int, values: Mapping[str, Any]) -> tuple[Row, Trial]:
    """One of few trials, so that suggestions repeat; a rate of 3 makes none."""
    rate = values["optim.lr"]
    if rate == 3:
        raise SpecError("no such rate")
    config = TrainConfig(contrast=ContrastConfig(source="none"), schedule=ScheduleConfig(steps=STEPS))
    return Row(label=f"trial {number}", factors=values), Trial(trial_id=f"rate{rate}", config=config)


class World:
    """The plans of successive commands; the recorded plan is that of the last one."""

    def __init__(self, sweep: SweepRecord, trials: int, choices: tuple[int, ...]) -> None:
        record = replace(sweep, method="random", rows=(), cells=(), search={"study": "a"})
        self.plan = SweepPlan(record=record, trials=())
        rates = Distribution(key="optim.lr", kind="categorical", choices=choices)
        self.search = Search(sampler="random", trials=trials, seed=0, parameters=(rates,))
        self.last: SearchPlan | None = None

    def open(
        self, scheduler: Scheduler | None = None, points: Callable[[str], list[Point]] | None = None
    ) -> SearchPlan:
        study = Study(self.search, (Objective(name="final/miou", goal="maximize"),), scheduler, steps=STEPS)
        recorded = recorded_study(self.plan.record, None if self.last is None else self.last.record)
        self.last = SearchPlan(self.plan, study, make, recorded, points or (lambda _: []))
        return self.last


def states(growing_plan: SearchPlan) -> list[str]:
    return [trial.state.name for trial in growing_plan.study.study.get_trials()]


def test_each_suggestion_is_a_row_of_the_plan(sweep: SweepRecord) -> None:
    growing_plan = World(sweep, trials=3, choices=(1,)).open()
    trial = growing_plan.next_trial({})
    assert trial is not None
    assert trial.trial_id == "rate1"
    assert growing_plan.record.rows[-1].label == "trial 0"
    assert growing_plan.record.cells[-1].trial_id == "rate1"
    assert growing_plan.record.search["drawn"] == 1


def test_a_trial_suggested_again_runs_once_and_answers_for_all(sweep: SweepRecord, make_record: MakeRecord) -> None:
    growing_plan = World(sweep, trials=3, choices=(1,)).open()
    assert growing_plan.next_trial({}) is not None
    assert growing_plan.next_trial({}) is None, "the two other suggestions wait for the first"
    growing_plan.ended("rate1", make_record("rate1", final__miou=0.5))
    assert states(growing_plan) == ["COMPLETE"] * 3
    assert growing_plan.study.exhausted


def test_values_that_make_no_trial_fail(sweep: SweepRecord) -> None:
    growing_plan = World(sweep, trials=2, choices=(3,)).open()
    assert growing_plan.next_trial({}) is None
    assert set(states(growing_plan)) == {"FAIL"}


def test_the_study_is_told_of_a_finished_trial(sweep: SweepRecord, make_record: MakeRecord) -> None:
    growing_plan = World(sweep, trials=2, choices=(1,)).open()
    assert growing_plan.next_trial({"rate1": make_record("rate1", final__miou=0.5)}) is None
    assert states(growing_plan) == ["COMPLETE"] * 2


def test_the_next_driver_resumes_the_suggestions(sweep: SweepRecord) -> None:
    world = World(sweep, trials=2, choices=(1,))
    world.open().next_trial({})
    later = world.open()
    assert [trial.trial_id for trial in later.resume({})] == ["rate1"]
    assert len(later.record.rows) == 1


def test_nothing_is_stopped_without_a_scheduler_or_by_another_metric(sweep: SweepRecord) -> None:
    growing_plan = World(sweep, trials=2, choices=(1,)).open()
    growing_plan.next_trial({})
    assert not growing_plan.should_stop("rate1", Point(step=20, metrics={"val/miou": 0.0}))
    judged = World(sweep, trials=2, choices=(1,)).open(Scheduler(kind="median", startup_trials=1))
    judged.next_trial({})
    assert not judged.should_stop("rate1", Point(step=20, metrics={"train/loss": 9.0}))


@pytest.mark.parametrize(("metric", "watched"), [("final/miou", "val/miou"), ("cost/gpu_hours", "cost/gpu_hours")])
def test_the_metric_of_the_curve_is_that_of_the_end(metric: str, watched: str) -> None:
    rates = Distribution(key="optim.lr", kind="categorical", choices=(1,))
    search = Search(sampler="random", trials=1, seed=0, parameters=(rates,))
    assert Study(search, (Objective(name=metric),), None, steps=STEPS).watched == watched


@pytest.mark.parametrize(
    ("source", "warmup", "grace", "step"),
    [("none", 0.5, 0.25, 10), ("inter_image", 0.125, 0.25, 10), ("inter_image", 0.5, 0.25, 21), ("none", 0.5, 0.3, 12)],
)
def test_no_trial_is_stopped_before_its_contrast_counts(source: str, warmup: float, grace: float, step: int) -> None:
    contrast = ContrastConfig(source=source, warmup_fraction=warmup)  # type: ignore[arg-type]
    config = TrainConfig(contrast=contrast, schedule=ScheduleConfig(steps=STEPS))
    assert first_step_to_stop(config, Scheduler(kind="asha", grace_fraction=grace)) == step


def test_a_stopped_trial_is_pruned_in_its_study(sweep: SweepRecord, make_record: MakeRecord) -> None:
    growing_plan = World(sweep, trials=1, choices=(1,)).open(Scheduler(kind="asha"))
    growing_plan.next_trial({})
    growing_plan.should_stop("rate1", Point(step=20, metrics={"val/miou": 0.1}))
    growing_plan.ended("rate1", make_record("rate1", state=State.STOPPED))
    assert states(growing_plan) == ["PRUNED"]


def test_refused_values_are_counted_and_are_not_drawn_again(sweep: SweepRecord) -> None:
    world = World(sweep, trials=2, choices=(3,))
    first = world.open()
    assert first.next_trial({}) is None
    assert (first.record.rows, first.record.search["drawn"]) == ((), 2)
    assert world.open().exhausted


def test_the_next_command_knows_the_curves_of_the_trials_before(sweep: SweepRecord, make_record: MakeRecord) -> None:
    """Of eight trials the scheduler keeps the better half at each rung, whichever command saw which of them."""
    points = {f"rate{rate}": [Point(step=10, metrics={"val/miou": rate / 10})] for rate in range(8)}
    outcomes = {trial_id: make_record(trial_id, final__miou=0.5) for trial_id in points}
    scheduler = Scheduler(kind="asha", grace_fraction=0.25, reduction_factor=2)
    world = World(sweep, trials=30, choices=tuple(range(8)))
    first = world.open(scheduler)
    while not first.exhausted:
        first.next_trial({})
    last = world.open(scheduler, points.__getitem__)
    last.resume({key: record for key, record in outcomes.items() if key not in ("rate0", "rate7")})
    assert last.should_stop("rate0", Point(step=11, metrics={})), "it was to be stopped at step 10"
    assert not last.should_stop("rate7", Point(step=11, metrics={}))
