"""The order in which trials get their turn."""

from orchestrator.planning.plan import Trial
from orchestrator.running.trial_queue import TrialQueue
from trainer.config import TrainConfig

A, B, C = (Trial(trial_id=name, config=TrainConfig()) for name in "abc")


def anything(trial: Trial) -> bool:
    return True


def test_first_come_first_served_unless_it_does_not_suit() -> None:
    queue = TrialQueue([A, B])
    queue.add(C)
    assert queue.take(0, lambda trial: trial is not A) is B
    assert queue.take(0, anything) is A
    assert queue.take(0, anything) is C
    assert queue.take(0, anything) is None
    assert len(queue) == 0


def test_one_that_is_put_back_pauses_and_then_comes_first() -> None:
    queue = TrialQueue([A, B])
    first = queue.take(0, anything)
    assert first is A
    queue.put_back(A, until=10)
    assert len(queue) == 2
    assert queue.take(5, anything) is B
    assert queue.take(5, anything) is None
    assert queue.take(10, anything) is A


def test_clearing_forgets_the_pausing_too() -> None:
    queue = TrialQueue([A])
    queue.put_back(B, until=10)
    queue.clear()
    assert len(queue) == 0
    assert queue.take(99, anything) is None
