"""Searches: one study whatever happens to the driver, steered by what it is told."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from orchestrator.planning.adaptive.recorded_study import earlier_plan, recorded_study
from orchestrator.planning.adaptive.search import BuildTrial, SearchPlan, first_step_to_stop
from orchestrator.planning.adaptive.study import Study
from orchestrator.planning.plan import SweepPlan, Trial
from orchestrator.running.driver import Driver
from orchestrator.running.executors.serial import Serial
from orchestrator.running.task import Task
from orchestrator.spec.blocks import Scheduler
from orchestrator.spec.distributions import Distribution, Objective, Search
from orchestrator.store.attempt_record import AttemptRecord, Point, State
from orchestrator.store.record_store import RecordStore
from orchestrator.store.sweep_record import Row, SweepRecord
from trainer.config import ContrastConfig, OptimConfig, Runtime, ScheduleConfig, TrainConfig

LR = Distribution(key="optim.lr", kind="log_uniform", low=1e-4, high=1.0)
DECAY = Distribution(key="optim.weight_decay", kind="log_uniform", low=1e-6, high=1e-1)
STEPS = 90
ASHA = Scheduler(kind="asha", grace_fraction=0.1, reduction_factor=3)
MIOU = (Objective(),)


def search_of(sampler: str, trials: int, seed: int = 0, *parameters: Distribution) -> Search:
    return Search(sampler=sampler, trials=trials, seed=seed, parameters=parameters or (LR, DECAY))  # type: ignore[arg-type]


def quality(lr: float, decay: float) -> float:
    """A bowl over two logarithms; its top, 1, is at lr 0.01 and decay 1e-4."""
    return 1 - ((math.log10(lr) + 2) / 2) ** 2 / 2 - ((math.log10(decay) + 4) / 3) ** 2 / 2


def make(number: int, values: Mapping[str, Any]) -> tuple[Row, Trial]:
    config = TrainConfig(
        optim=OptimConfig(lr=values["optim.lr"], weight_decay=values["optim.weight_decay"]),
        contrast=ContrastConfig(source="none"),
        schedule=ScheduleConfig(steps=STEPS, batch_size=2, eval_every_steps=10),
    )
    name = f"{values['optim.lr']:.6g}-{values['optim.weight_decay']:.6g}"
    return Row(label=f"trial {number}", factors=values), Trial(trial_id=name, config=config)


def done(metrics: dict[str, float]) -> AttemptRecord:
    return AttemptRecord(trial_id="x", attempt=1, state=State.DONE, started_at=0, ended_at=1, metrics=metrics)


class World:
    """A store, a study, and trials whose quality is known."""

    def __init__(self, folder: Path, search: Search, scheduler: Scheduler | None = None) -> None:
        self.folder, self.search, self.scheduler = folder, search, scheduler
        self.worked: list[tuple[str, int]] = []
        self.die_after: int | None = None
        self.plan = SweepPlan(
            record=SweepRecord(
                name="s",
                question="",
                method=search.sampler,
                recipe="r",
                metric="final/miou",
                goal="maximize",
                baseline=None,
                rows=(),
                seeds=(0,),
                cells=(),
                search={"study": "a", "scheduler": None if scheduler is None else scheduler.kind},
            ),
            trials=(),
        )

    def work(self, task: Task, report: Callable[[Point], None]) -> AttemptRecord:
        if self.die_after is not None and len(self.worked) >= self.die_after:
            raise KeyboardInterrupt
        config = task.config
        state, step = State.DONE, 0
        try:
            for step in range(10, STEPS + 1, 10):
                value = quality(config.optim.lr, config.optim.weight_decay) * (1 - math.exp(-step / 20))
                report(Point(step=step, metrics={"val/miou": value}, attempt=task.attempt))
        except BaseException as stop:
            if not hasattr(stop, "state"):
                raise
            state = stop.state
        self.worked.append((task.trial_id, step))
        now = time.time()
        metrics = {"final/miou": quality(config.optim.lr, config.optim.weight_decay)} if state is State.DONE else {}
        return AttemptRecord(
            trial_id=task.trial_id, attempt=task.attempt, state=state, started_at=now, ended_at=now, metrics=metrics
        )

    def run(self, make_trial: BuildTrial = make) -> Driver:
        store = RecordStore(self.folder)
        study = Study(self.search, MIOU, self.scheduler, steps=STEPS)
        recorded = recorded_study(self.plan.record, earlier_plan(store, "s"))
        growing_plan = SearchPlan(self.plan, study, make_trial, recorded, store.points)
        driver = Driver(store, [])
        outcomes = store.outcomes(growing_plan.trials)
        driver.run(self.plan, outcomes, Runtime(), lambda: Serial(self.work), growing_plan)
        self.study = study
        return driver

    def states(self) -> list[str]:
        return [trial.state.name for trial in self.study.study.get_trials()]


@pytest.mark.parametrize("kills", [(7,), (0, 1, 12, 13, 30)])
def test_a_search_killed_and_resumed_ends_with_exactly_its_trials(kills: tuple[int, ...], tmp_path: Path) -> None:
    world = World(tmp_path, search_of("tpe", 40), ASHA)
    for kill in kills:
        world.die_after = kill
        with pytest.raises(KeyboardInterrupt):
            world.run()
    world.die_after = None
    driver = world.run()
    states = world.states()
    assert len(states) == 40
    assert set(states) == {"COMPLETE", "PRUNED"}
    assert len(driver.plan.record.rows) == 40
    assert len({name for name, _ in world.worked}) == len(world.worked) == 40, "none was trained twice"
    assert {record.state for record in driver.outcomes.values()} == {State.DONE, State.STOPPED}
    assert world.run().outcomes == driver.outcomes, "the same command again runs nothing"
    assert len(world.worked) == 40


def test_an_interrupted_search_gets_the_suggestions_of_a_whole_one(tmp_path: Path) -> None:
    whole, halves = World(tmp_path / "whole", search_of("tpe", 20)), World(tmp_path / "halves", search_of("tpe", 20))
    whole.run()
    halves.die_after = 9
    with pytest.raises(KeyboardInterrupt):
        halves.run()
    halves.die_after = None
    halves.run()
    assert halves.worked == whole.worked


@pytest.mark.parametrize(("goal", "best"), [("maximize", 1.0), ("minimize", 1e-4)])
def test_the_sampler_is_steered_by_what_the_study_is_told(goal: str, best: float) -> None:
    """The metric grows with the rate: later trials have higher rates if it is to be large, lower ones if small."""
    objective = Objective(name="final/miou", goal=goal)  # type: ignore[arg-type]
    study = Study(search_of("tpe", 40, 0, LR), (objective,), None, steps=STEPS)
    distances = []
    for _ in range(40):
        number, suggested = study.ask()
        distances.append(abs(math.log10(suggested["optim.lr"] / best)))
        study.tell(number, done({"final/miou": math.log10(suggested["optim.lr"])}))
    assert statistics.mean(distances[20:]) < 0.5 * statistics.mean(distances[:10]), "the first ten are drawn at random"


def test_asha_spends_less_and_keeps_the_best(tmp_path: Path) -> None:
    free, pruned = World(tmp_path / "a", search_of("random", 30)), World(tmp_path / "b", search_of("random", 30), ASHA)
    everything, some = free.run().outcomes, pruned.run().outcomes
    assert sum(step for _, step in pruned.worked) < 0.7 * sum(step for _, step in free.worked)
    finished = [record.metrics["final/miou"] for record in some.values() if record.state is State.DONE]
    assert max(finished) == max(record.metrics["final/miou"] for record in everything.values())


@pytest.mark.parametrize("kind", ["asha", "median", "hyperband"])
def test_no_trial_is_stopped_before_its_grace_is_over(kind: str, tmp_path: Path) -> None:
    scheduler = Scheduler(kind=kind, grace_fraction=0.5, startup_trials=2)  # type: ignore[arg-type]
    world = World(tmp_path, search_of("random", 25), scheduler)
    world.run()
    steps = [step for _, step in world.worked]
    assert min(steps) >= STEPS * 0.5
    assert min(steps) < STEPS, "some were stopped"


def test_nor_before_its_contrast_had_a_say() -> None:
    config = TrainConfig(
        contrast=ContrastConfig(source="inter_image", warmup_fraction=0.5), schedule=ScheduleConfig(steps=100)
    )
    assert first_step_to_stop(config, ASHA) == 51
    baseline = TrainConfig(contrast=ContrastConfig(source="none"), schedule=ScheduleConfig(steps=100))
    assert first_step_to_stop(baseline, ASHA) == 10


def test_equal_suggestions_are_one_trial_told_twice(tmp_path: Path) -> None:
    rates = Distribution(key="optim.lr", kind="categorical", choices=(0.1, 0.01))
    decay = Distribution(key="optim.weight_decay", kind="categorical", choices=(1e-4,))
    world = World(tmp_path, search_of("random", 12, 0, rates, decay))
    driver = world.run()
    assert len(world.worked) == 2
    assert world.states() == ["COMPLETE"] * 12
    assert len(driver.plan.record.cells) == 12


def test_values_that_the_trainer_refuses_fail_and_the_search_continues(tmp_path: Path) -> None:
    from orchestrator.errors import SpecError

    def picky(number: int, values: Mapping[str, Any]) -> tuple[Row, Trial]:
        if number % 3 == 0:
            raise SpecError("tiny.yaml:3: optim.lr: no")
        return make(number, values)

    world = World(tmp_path, search_of("random", 9))
    world.run(picky)
    assert world.states().count("FAIL") == 3
    assert len(world.worked) == 6
    assert len(world.run(picky).plan.record.rows) == 6, "the same command again draws nothing"


def test_several_objectives() -> None:
    objectives = (Objective(), Objective(name="cost/gpu_hours", goal="minimize"))
    study = Study(search_of("tpe", 15), objectives, None, steps=STEPS)
    for _ in range(15):
        number, values = study.ask()
        metrics = {
            "final/miou": quality(values["optim.lr"], values["optim.weight_decay"]),
            "cost/gpu_hours": values["optim.lr"],
        }
        study.tell(number, done(metrics))
    assert len(study.study.best_trials) >= 1
    assert study.exhausted


def test_lists_survive_the_plan() -> None:
    crops = Distribution(key="data.crop", kind="categorical", choices=((64, 64), (96, 128)))
    study, again = (Study(search_of("random", 4, 0, crops), MIOU, None, steps=STEPS) for _ in range(2))
    suggested = [study.ask() for _ in range(4)]
    assert {values["data.crop"] for _, values in suggested} <= {(64, 64), (96, 128)}
    for number, values in suggested:
        again.restore(number, values)
    assert again.exhausted
    assert [trial.params for trial in again.study.trials] == [trial.params for trial in study.study.trials]


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"optim.lr": 0.1},
        {"optim.lr": 2.0, "optim.weight_decay": 1e-3},
        {"optim.lr": -1.0, "optim.weight_decay": 1e-3},
        {"optim.lr": "text", "optim.weight_decay": 1e-3},
        {"optim.lr": None, "optim.weight_decay": 1e-3},
        {"optim.lr": math.nan, "optim.weight_decay": 1e-3},
    ],
)
def test_values_that_could_not_be_drawn_do_not_fit(values: dict[str, Any]) -> None:
    study = Study(search_of("tpe", 4), MIOU, None, steps=STEPS)
    assert not study.fits(values)
    assert not study.add_prior(values, done({"final/miou": 0.5}))
    assert study.fits({"optim.lr": 0.1, "optim.weight_decay": 1e-3, "of another": "study"})


def test_a_prior_trial_is_known_to_the_sampler_and_is_not_a_trial_of_the_search() -> None:
    study = Study(search_of("tpe", 2), MIOU, None, steps=STEPS)
    values = {"optim.lr": 0.1, "optim.weight_decay": 1e-3}
    assert not study.add_prior(values, done({"final/miou": math.nan}))
    assert study.add_prior(values, done({"final/miou": 0.5}))
    assert [trial.value for trial in study.study.trials] == [0.5]
    assert [study.ask()[0] for _ in range(2)] == [0, 1]
    assert study.exhausted


@pytest.mark.filterwarnings("error")
def test_a_step_that_is_reported_again_counts_once() -> None:
    study = Study(search_of("random", 1), MIOU, ASHA, steps=STEPS)
    number, _ = study.ask()
    for value in (0.3, 0.4):
        study.report(number, Point(step=10, metrics={"val/miou": value}))
    assert study.study.trials[0].intermediate_values == {10: 0.3}
