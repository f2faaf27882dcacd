"""What a sweep will take, from what its shapes have taken before."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.planning.cost_forecast import Cost, CostBook, ExpectedTrial, describe_cost, duration
from orchestrator.planning.identity import shape_of
from orchestrator.planning.plan import Trial
from orchestrator.store.attempt_record import AttemptRecord, State
from trainer.config import ScheduleConfig, TrainConfig

SHORT, LONG = (TrainConfig(schedule=ScheduleConfig(steps=steps)) for steps in (100, 300))
OTHER = TrainConfig(schedule=ScheduleConfig(steps=100, batch_size=32))
COST = Cost(step_seconds=0.5, other_seconds=10.0, disk_bytes=2_000_000)


def trials(*configs: TrainConfig) -> list[Trial]:
    return [Trial(trial_id=str(number), config=config) for number, config in enumerate(configs)]


def test_a_cost_grows_with_the_steps() -> None:
    assert shape_of(SHORT) == shape_of(LONG)
    assert (COST.seconds(SHORT), COST.seconds(LONG)) == (60.0, 160.0)


@pytest.fixture
def costs(tmp_path: Path) -> CostBook:
    """The cost of one shape is known."""
    book = CostBook(tmp_path)
    book.costs[shape_of(SHORT)] = COST
    return book


def test_a_forecast_fills_the_slots_in_order(costs: CostBook) -> None:
    found = describe_cost(trials(LONG, SHORT, SHORT, SHORT), costs, slots=2, gpus_per_trial=0.5)
    assert found == "forecast: about 3 min on 2 slots, 0.05 GPU-hours, 8 MB of disk"


def test_unknown_shapes_are_reported_and_not_guessed(costs: CostBook) -> None:
    assert describe_cost(trials(SHORT, OTHER), costs, slots=1, gpus_per_trial=0.0) == (
        "forecast: about 60 s on 1 slot, 2 MB of disk "
        "(1 of 2 trials not counted: no trial of their shape has finished here)"
    )
    nothing = describe_cost(trials(OTHER), costs, slots=1, gpus_per_trial=0.0)
    assert nothing == "forecast: none, because no trial of these shapes has finished here"


def test_what_is_known_of_a_trial_are_its_steps_and_the_cost_of_its_shape(costs: CostBook) -> None:
    assert costs.expected(trials(SHORT, OTHER, LONG)) == {
        "0": ExpectedTrial(steps=100, cost=COST),
        "1": ExpectedTrial(steps=100),
        "2": ExpectedTrial(steps=300, cost=COST),
    }


def test_costs_come_from_first_attempts_and_are_kept(tmp_path: Path, make_record: Callable[..., AttemptRecord]) -> None:
    workdir = tmp_path / "trial"
    workdir.mkdir()
    (workdir / "last.pt").write_bytes(b"x" * 1000)
    record = make_record("t", cost__step_ms=500.0)  # took 60 s
    book = CostBook(tmp_path)
    for useless in (
        replace(record, attempt=2),
        replace(record, state=State.DIVERGED),
        replace(record, metrics={}),
    ):
        book.note(SHORT, useless, workdir)
    assert book.of(SHORT) is None
    book.note(SHORT, record, workdir)
    book.save()
    again = CostBook(tmp_path)
    assert again.of(LONG) == Cost(step_seconds=0.5, other_seconds=10.0, disk_bytes=1000)
    assert again.of(OTHER) is None


def test_a_book_of_another_version_is_an_empty_one(tmp_path: Path) -> None:
    (tmp_path / "costs.json").write_text('{"shape": "{}", "other": "[1]", "third": "no json"}')
    assert CostBook(tmp_path).costs == {}


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0 s"), (89.4, "89 s"), (90, "2 min"), (5340, "89 min"), (7500, "2 h 05 min")]
)
def test_durations_in_words(seconds: float, text: str) -> None:
    assert duration(seconds) == text
