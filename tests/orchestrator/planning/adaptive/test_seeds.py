"""Seeds are added to open rows only, the same ones however often the sweep is stopped."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from orchestrator.planning.adaptive.seeds import SequentialSeeds
from orchestrator.planning.plan import SweepPlan, seeded_trials
from orchestrator.running.driver import Driver
from orchestrator.running.executors.serial import Serial
from orchestrator.running.task import Task
from orchestrator.spec.blocks import Until
from orchestrator.store.attempt_record import AttemptRecord, Point, State
from orchestrator.store.record_store import RecordStore
from orchestrator.store.sweep_record import PlannedRun, Row, SweepRecord
from orchestrator.store.sweep_results import SweepResults
from reports.tables.aggregate import aggregate
from reports.tables.sequential import open_rows
from trainer.config import ContrastConfig, OptimConfig, Runtime, TrainConfig

RATES = {"baseline": 0.01, "clearly better": 0.02, "the same": 0.03, "noisy": 0.04}
UNTIL = Until(first=3, last=6)


def quality(rate: float, seed: int) -> float:
    """The figure of a row and a seed: one row is better by far, one never settles."""
    noise = np.random.default_rng(seed).normal()
    gain = {0.01: 0.0, 0.02: 5.0, 0.03: 0.0, 0.04: 0.0}[rate]
    own = np.random.default_rng((seed, int(rate * 1000))).normal() * {0.01: 0.0, 0.02: 0.1, 0.03: 0.0, 0.04: 1.0}[rate]
    return float(noise + gain + own)


def plan() -> SweepPlan:
    """Four rows with three seeds."""
    trials, cells = [], []
    for label, rate in RATES.items():
        config = TrainConfig(optim=OptimConfig(lr=rate), contrast=ContrastConfig(source="none"))
        for trial in seeded_trials(config, range(UNTIL.first), "d"):
            trials.append(trial)
            cells.append(PlannedRun(row=label, seed=trial.config.seed, trial_id=trial.trial_id))
    record = SweepRecord(
        name="s",
        question="",
        method="ablation",
        recipe="r",
        metric="final/miou",
        goal="maximize",
        baseline="baseline",
        rows=tuple(Row(label=label, factors={}) for label in RATES),
        seeds=(0, 1, 2),
        cells=tuple(cells),
    )
    return SweepPlan(record=record, trials=tuple(trials))


class World:
    def __init__(self, folder: Path) -> None:
        self.store = RecordStore(folder)
        self.worked: list[tuple[float, int]] = []
        self.die_after: int | None = None
        self.broken: set[tuple[float, int]] = set()

    def work(self, task: Task, report: Callable[[Point], None]) -> AttemptRecord:
        if self.die_after is not None and len(self.worked) >= self.die_after:
            raise KeyboardInterrupt
        key = (task.config.optim.lr, task.config.seed)
        self.worked.append(key)
        state = State.USER_ERROR if key in self.broken else State.DONE
        return AttemptRecord(
            trial_id=task.trial_id,
            attempt=task.attempt,
            state=state,
            started_at=0,
            ended_at=1,
            metrics={"final/miou": quality(*key)},
        )

    def run(self) -> Driver:
        more = SequentialSeeds(plan(), UNTIL, partial(open_rows, first=UNTIL.first, last=UNTIL.last))
        driver = Driver(self.store, [])
        driver.run(plan(), self.store.outcomes(more.candidates), Runtime(), lambda: Serial(self.work), more)
        return driver

    def seeds(self, driver: Driver) -> dict[str, int]:
        return {label: len(cell.values) for label, cell in cells(driver).items()}


def cells(driver: Driver) -> Mapping[str, object]:
    return aggregate(SweepResults(sweep=driver.plan.record, outcomes=driver.outcomes), "final/miou")


def test_only_open_rows_and_the_baseline_get_more_seeds(tmp_path: Path) -> None:
    world = World(tmp_path)
    driver = world.run()
    assert world.seeds(driver) == {"baseline": 6, "clearly better": 3, "the same": 3, "noisy": 6}
    assert len(world.worked) == 6 + 3 + 3 + 6
    assert all(not cell.gaps for cell in cells(driver).values()), "a decided row is not short of seeds"


@pytest.mark.parametrize("kill", [1, 12, 13, 15])
def test_stopped_and_called_again_it_adds_the_same_seeds(kill: int, tmp_path: Path) -> None:
    whole, halves = World(tmp_path / "whole"), World(tmp_path / "halves")
    expected = whole.run()
    halves.die_after = kill
    with pytest.raises(KeyboardInterrupt):
        halves.run()
    halves.die_after = None
    driver = halves.run()
    assert driver.plan.record == expected.plan.record
    assert sorted(halves.worked) == sorted(whole.worked), "nothing twice"
    assert halves.run().plan.record == expected.plan.record
    assert len(halves.worked) == len(whole.worked), "complete: nothing runs"


def test_a_row_that_fails_is_not_topped_up(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.broken = {(0.04, 1)}
    assert world.seeds(world.run()) == {"baseline": 3, "clearly better": 3, "the same": 3, "noisy": 2}
