"""The order in which trials start."""

from orchestrator.planning.plan import Trial
from orchestrator.running.trial_queue import TrialQueue
from trainer.config import TrainConfig

A, B, C = (Trial(trial_id=name, config=TrainConfig()) for name in "abc")


def anything(trial: Trial) -> bool:
    return True


def test_first_in_first_out_except_for_trials_that_cannot_start() -> None:
    queue = TrialQueue([A, B])
    queue.add(C)
    assert queue.pop(0, lambda trial: trial is not A) is B
    assert queue.pop(0, anything) is A
    assert queue.pop(0, anything) is C
    assert queue.pop(0, anything) is None
    assert len(queue) == 0


def test_a_retry_waits_for_its_back_off_and_then_comes_first() -> None:
    queue = TrialQueue([A, B])
    first = queue.pop(0, anything)
    assert first is A
    queue.add_retry(A, not_before=10)
    assert len(queue) == 2
    assert queue.pop(5, anything) is B
    assert queue.pop(5, anything) is None
    assert queue.pop(10, anything) is A


def test_clearing_removes_delayed_trials_too() -> None:
    queue = TrialQueue([A])
    queue.add_retry(B, not_before=10)
    queue.clear()
    assert len(queue) == 0
    assert queue.pop(99, anything) is None
