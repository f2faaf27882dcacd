"""The plan of a search, which grows while it runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from orchestrator.errors import SpecError
from orchestrator.planning.adaptive.search import SearchPlan, first_step_to_stop, metric_while_training
from orchestrator.planning.adaptive.study import Study
from orchestrator.planning.plan import SweepPlan, Trial
from orchestrator.spec.blocks import Scheduler
from orchestrator.spec.distributions import Distribution, Objective, Search
from orchestrator.store.records import AttemptRecord, Point, Row, State, SweepRecord
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
    """A study in a folder, and the plans of successive drivers."""

    def __init__(self, folder: Path, sweep: SweepRecord, trials: int, choices: tuple[int, ...]) -> None:
        self.folder = folder
        self.plan = SweepPlan(record=sweep, trials=())
        rates = Distribution(key="optim.lr", kind="categorical", choices=choices)
        self.search = Search(sampler="random", trials=trials, seed=0, parameters=(rates,))
        self.kept = 0

    def open(self, scheduler: Scheduler | None = None) -> SearchPlan:
        objective = Objective(name="final/miou", goal="maximize")
        study = Study(self.search, (objective,), scheduler, journal=self.folder / "study.journal", steps=STEPS)
        return SearchPlan(self.plan, study, scheduler, make, self.keep)

    def keep(self) -> None:
        self.kept += 1


def states(growing_plan: SearchPlan) -> list[str]:
    return [trial.state.name for trial in growing_plan.study.study.get_trials()]


def test_each_suggestion_is_a_row_and_is_saved_before_it_runs(tmp_path: Path, sweep: SweepRecord) -> None:
    world = World(tmp_path, sweep, trials=3, choices=(1,))
    growing_plan = world.open()
    trial = growing_plan.next_trial({})
    assert trial is not None
    assert trial.trial_id == "rate1"
    assert world.kept == 1
    assert growing_plan.record.rows[-1].label == "trial 0"
    assert growing_plan.record.cells[-1].trial_id == "rate1"


def test_a_trial_suggested_again_runs_once_and_answers_for_all(
    tmp_path: Path, sweep: SweepRecord, make_record: MakeRecord
) -> None:
    growing_plan = World(tmp_path, sweep, trials=3, choices=(1,)).open()
    assert growing_plan.next_trial({}) is not None
    assert growing_plan.next_trial({}) is None, "the two other suggestions wait for the first"
    growing_plan.ended("rate1", make_record("rate1", final__miou=0.5))
    assert states(growing_plan) == ["COMPLETE"] * 3
    assert growing_plan.study.exhausted


def test_values_that_make_no_trial_fail(tmp_path: Path, sweep: SweepRecord) -> None:
    growing_plan = World(tmp_path, sweep, trials=2, choices=(3,)).open()
    assert growing_plan.next_trial({}) is None
    assert set(states(growing_plan)) == {"FAIL"}


def test_the_study_is_told_of_a_finished_trial(tmp_path: Path, sweep: SweepRecord, make_record: MakeRecord) -> None:
    growing_plan = World(tmp_path, sweep, trials=2, choices=(1,)).open()
    assert growing_plan.next_trial({"rate1": make_record("rate1", final__miou=0.5)}) is None
    assert states(growing_plan) == ["COMPLETE"] * 2


def test_the_next_driver_resumes_the_suggestions(tmp_path: Path, sweep: SweepRecord) -> None:
    world = World(tmp_path, sweep, trials=2, choices=(1,))
    world.open().next_trial({})
    later = world.open()
    assert [trial.trial_id for trial in later.resume({})] == ["rate1"]
    assert len(later.record.rows) == len(sweep.rows) + 1


def test_nothing_is_stopped_without_a_scheduler_or_by_another_metric(tmp_path: Path, sweep: SweepRecord) -> None:
    growing_plan = World(tmp_path, sweep, trials=2, choices=(1,)).open()
    growing_plan.next_trial({})
    assert not growing_plan.should_stop("rate1", Point(step=20, metrics={"val/miou": 0.0}))
    judged = World(tmp_path / "other", sweep, trials=2, choices=(1,)).open(Scheduler(kind="median", startup_trials=1))
    judged.next_trial({})
    assert not judged.should_stop("rate1", Point(step=20, metrics={"train/loss": 9.0}))


def test_the_metric_of_the_curve_is_that_of_the_end() -> None:
    assert (metric_while_training("final/miou"), metric_while_training("cost/gpu_hours")) == (
        "val/miou",
        "cost/gpu_hours",
    )


@pytest.mark.parametrize(
    ("source", "warmup", "grace", "step"),
    [("none", 0.5, 0.25, 10), ("inter_image", 0.125, 0.25, 10), ("inter_image", 0.5, 0.25, 21), ("none", 0.5, 0.3, 12)],
)
def test_no_trial_is_stopped_before_its_contrast_counts(source: str, warmup: float, grace: float, step: int) -> None:
    contrast = ContrastConfig(source=source, warmup_fraction=warmup)  # type: ignore[arg-type]
    config = TrainConfig(contrast=contrast, schedule=ScheduleConfig(steps=STEPS))
    assert first_step_to_stop(config, Scheduler(kind="asha", grace_fraction=grace)) == step


def test_a_stopped_trial_is_pruned_in_its_study(tmp_path: Path, sweep: SweepRecord, make_record: MakeRecord) -> None:
    growing_plan = World(tmp_path, sweep, trials=1, choices=(1,)).open(Scheduler(kind="asha"))
    growing_plan.next_trial({})
    growing_plan.should_stop("rate1", Point(step=20, metrics={"val/miou": 0.1}))
    growing_plan.ended("rate1", make_record("rate1", state=State.STOPPED))
    assert states(growing_plan) == ["PRUNED"]
