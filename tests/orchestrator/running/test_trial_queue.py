"""The order in which trials get their turn."""

from orchestrator.planning.plan import Trial
from orchestrator.running.trial_queue import Agenda
from trainer.config import TrainConfig

A, B, C = (Trial(trial_id=name, config=TrainConfig()) for name in "abc")


def anything(trial: Trial) -> bool:
    return True


def test_first_come_first_served_unless_it_does_not_suit() -> None:
    agenda = Agenda([A, B])
    agenda.add(C)
    assert agenda.take(0, lambda trial: trial is not A) is B
    assert agenda.take(0, anything) is A
    assert agenda.take(0, anything) is C
    assert agenda.take(0, anything) is None
    assert len(agenda) == 0


def test_one_that_is_put_back_pauses_and_then_comes_first() -> None:
    agenda = Agenda([A, B])
    first = agenda.take(0, anything)
    assert first is A
    agenda.put_back(A, until=10)
    assert len(agenda) == 2
    assert agenda.take(5, anything) is B
    assert agenda.take(5, anything) is None
    assert agenda.take(10, anything) is A


def test_clearing_forgets_the_pausing_too() -> None:
    agenda = Agenda([A])
    agenda.put_back(B, until=10)
    agenda.clear()
    assert len(agenda) == 0
    assert agenda.take(99, anything) is None
