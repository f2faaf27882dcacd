"""Budgets: what is used up, and by whom."""

from orchestrator.running.budget import Spending
from orchestrator.spec.blocks import Budget
from orchestrator.store.records import AttemptRecord, State


def record(hours: float, gpus: float) -> AttemptRecord:
    return AttemptRecord(
        trial_id="a", attempt=1, state=State.DONE, started_at=0, ended_at=hours * 3600, resources={"gpus": gpus}
    )


def test_gpu_hours_count_earlier_attempts_and_what_runs_now() -> None:
    spending = Spending(Budget(gpu_hours=2), [record(2, 0.25), record(9, 0.0)], now=0)
    spending.started("b", 0.5, now=0)
    assert spending.spent(now=2.9 * 3600) == ""
    assert spending.spent(now=3 * 3600) == "budget.gpu_hours: 2.00 of 2 GPU-hours are spent"
    spending.ended("b", record(1, 0.5))
    assert spending.gpu_hours == 1.0
    assert spending.spent(now=99 * 3600) == ""


def test_wall_hours_are_those_of_the_command() -> None:
    spending = Spending(Budget(wall_hours=1), [record(50, 8)], now=100)
    assert spending.spent(now=3699) == ""
    assert spending.spent(now=3700) == "budget.wall_hours: 1 hours are over"


def test_a_trial_is_overdue_by_its_own_clock() -> None:
    spending = Spending(Budget(trial_hours=0.5), [], now=0)
    assert not spending.overdue("a", now=9999), "it has not started"
    spending.started("a", 0, now=1000)
    assert not spending.overdue("a", now=2800)
    assert spending.overdue("a", now=2801)
    assert not Spending(Budget(), [], now=0).overdue("a", now=1e9)
