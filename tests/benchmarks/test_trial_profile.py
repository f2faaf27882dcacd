"""The profile of a trial: what counts for which part, and how often the costly functions of a trial run."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks import trial_profile
from benchmarks.stopwatch import Seam, Stopwatch
from trainer.config import TrainConfig
from trainer.golden.measure import configured
from trainer.golden.trials import TINY


class Clock:
    """A clock that moves only when it is told to."""

    now = 0.0

    def __call__(self) -> float:
        return self.now

    def step(self, seconds: float) -> None:
        self.now += seconds


class Trial:
    """Functions that take a known time."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock

    def step(self) -> None:
        self.clock.step(1)
        self.forward()

    def forward(self) -> None:
        self.clock.step(10)

    def evaluate(self) -> None:
        self.clock.step(100)
        self.forward()
        self.save()

    def save(self) -> None:
        self.clock.step(1000)


SEAMS = [Seam(part=name, owner=Trial, name=name) for name in ("step", "forward", "evaluate", "save")]


def test_each_moment_counts_for_the_innermost_part():
    """The network counts for the evaluation that calls it, and a checkpoint within it for itself."""
    clock = Clock()
    watch, trial = Stopwatch(clock=clock, inclusive=frozenset({"evaluate", "save"})), Trial(clock)
    before = Trial.forward
    with watch.watching(SEAMS):
        trial.step()
        clock.step(7)  # outside all parts
        trial.evaluate()
    assert watch.seconds == {"step": 1, "forward": 10, "evaluate": 110, "save": 1000}
    assert watch.calls == {"Trial.step": 1, "Trial.forward": 2, "Trial.evaluate": 1, "Trial.save": 1}
    assert Trial.forward is before


def test_a_function_without_a_part_is_only_counted():
    clock = Clock()
    watch, trial = Stopwatch(clock=clock), Trial(clock)
    with watch.watching([Seam(part="", owner=Trial, name="forward"), Seam(part="step", owner=Trial, name="step")]):
        trial.step()
    assert watch.seconds == {"step": 11}
    assert watch.calls["Trial.forward"] == 1


def test_a_part_ends_with_an_exception():
    clock = Clock()
    watch = Stopwatch(clock=clock)

    def fail() -> None:
        with watch.part("inner"):
            clock.step(2)
            raise ValueError("no")

    with watch.part("outer"):
        with pytest.raises(ValueError, match="no"):
            fail()
        clock.step(3)
    assert watch.seconds == {"inner": 2, "outer": 3}


def test_a_function_that_does_not_exist_is_an_error():
    with (
        pytest.raises(AttributeError, match="train_faster"),
        Stopwatch().watching([replace(SEAMS[0], name="train_faster")]),
    ):
        pass


def test_work_that_is_not_training_is_done_once_per_trial(tmp_path, monkeypatch):
    """Each point scores val once, the end scores test once and draws three pictures; a checkpoint syncs thrice."""
    monkeypatch.chdir(tmp_path)
    found = trial_profile.train(configured(TrainConfig(), TINY), "a" * 12)
    points, checkpoints = 2, found["calls"]["checkpoints"]
    assert found["calls"]["evaluations"] == points + 1
    assert found["calls"]["pictures"] == 3
    assert checkpoints in (2, 3), "the last one, and the best at one or two points"
    records = found["calls"]["fsyncs"] - 3 * checkpoints
    assert records <= 8, "files of the run directory besides the checkpoints"
    shown = set(found["seconds"])
    assert shown <= {*trial_profile.TRAINING, *trial_profile.OVERHEAD}
    assert shown >= {*trial_profile.TRAINING, "start", "evaluation of val", "pictures", "checkpoints", "writing"}


def test_the_goals_are_shares_of_the_wall_time():
    parts = {"backward": 84.0, "imports": 1.0, "pictures": 14.0}
    found = {"wall": 100.0, "imports": 4.0, "seconds": parts, "calls": {"fsyncs": 9}}
    overhead, explained, *rest = trial_profile.compare("a", found, counts=True)
    assert (overhead.ours, overhead.held) == (pytest.approx(0.15), True)
    assert (explained.ours, explained.held) == (pytest.approx(0.99), True)
    shown = {item.figure: item.ratio for item in rest}
    assert shown["a trial: backward"] == 0.84
    assert shown["a trial: imports before it is forked, once per node"] == 0.04
    parts["pictures"] += 1
    assert trial_profile.compare("a", found, counts=True)[0].held is False
