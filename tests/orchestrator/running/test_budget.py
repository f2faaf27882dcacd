"""Budgets: what is used, by which trials, and when a limit is reached."""

from orchestrator.running.budget import BudgetUsage
from orchestrator.spec.blocks import Budget
from orchestrator.store.attempt_record import AttemptRecord, State


def record(hours: float, gpus: float) -> AttemptRecord:
    return AttemptRecord(
        trial_id="a", attempt=1, state=State.DONE, started_at=0, ended_at=hours * 3600, resources={"gpus": gpus}
    )


def test_gpu_hours_count_earlier_attempts_and_what_runs_now() -> None:
    usage = BudgetUsage(Budget(gpu_hours=2), [record(2, 0.25), record(9, 0.0)], now=0)
    usage.started("b", 0.5, now=0)
    assert usage.exhausted(now=2.9 * 3600) == ""
    assert usage.exhausted(now=3 * 3600) == "budget.gpu_hours: 2.00 of 2 GPU-hours are used"
    usage.ended("b", record(1, 0.5))
    assert usage.gpu_hours == 1.0
    assert usage.exhausted(now=99 * 3600) == ""


def test_wall_hours_are_those_of_the_command() -> None:
    usage = BudgetUsage(Budget(wall_hours=1), [record(50, 8)], now=100)
    assert usage.exhausted(now=3699) == ""
    assert usage.exhausted(now=3700) == "budget.wall_hours: the limit of 1 hours is reached"


def test_a_trial_is_overdue_by_its_own_clock() -> None:
    usage = BudgetUsage(Budget(trial_hours=0.5), [], now=0)
    assert not usage.overdue("a", now=9999), "it has not started"
    usage.started("a", 0, now=1000)
    assert not usage.overdue("a", now=2800)
    assert usage.overdue("a", now=2801)
    assert not BudgetUsage(Budget(), [], now=0).overdue("a", now=1e9)
