"""The time left: a range that holds, against a slow simulation whose end is known."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import pytest

from orchestrator.planning.cost_forecast import Cost, ExpectedTrial
from orchestrator.store.attempt_record import State
from orchestrator.tracking.speed_change import REPORTS_PER_SLOT, SpeedChange
from orchestrator.tracking.time_left import MOST_EXACT, TimeLeft, ends_at
from orchestrator.tracking.time_range import TimeRange

TICK = 0.25
"""Seconds of the simulation."""


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Scripted:
    """A trial whose durations are known."""

    name: str
    row: str
    steps: int = 100
    step_seconds: float = 0.2
    start: float = 1.0
    end: float = 2.0

    @property
    def seconds(self) -> float:
        return self.start + self.steps * self.step_seconds + self.end


Load = Callable[[float], float]
"""How much longer everything takes than on an idle machine, by the time since the sweep began."""


def idle(_: float) -> float:
    return 1.0


def simulate(
    trials: Sequence[Scripted], slots: int, left: TimeLeft, clock: Clock, load: Load = idle, every: int = 10
) -> Iterator[None]:
    """Play the trials in steps of the clock, and stop after each for a look."""
    waiting, running, began = list(trials), dict[str, tuple[Scripted, float, int]](), clock.now
    expected = {trial.name: ExpectedTrial(steps=trial.steps) for trial in trials}
    while waiting or running:
        while waiting and len(running) < slots:
            trial = waiting.pop(0)
            running[trial.name] = (trial, 0.0, 0)
            left.started(trial.name, expected[trial.name])
        yield
        clock.now += TICK
        worked = TICK / load(clock.now - began)
        for trial, before, reported in list(running.values()):
            work = before + worked
            step = min(int((work - trial.start) / trial.step_seconds), trial.steps)
            running[trial.name] = (trial, work, max(step // every, reported))
            if step // every > reported:
                left.reported(trial.name, step // every * every)
            if work >= trial.seconds:
                del running[trial.name]
                left.ended(trial.name, State.DONE)


def play(
    trials: Sequence[Scripted], slots: int, costs: dict[str, Cost] | None = None, load: Load = idle
) -> list[tuple[float, TimeRange | None]]:
    """The times and the estimates of a whole sweep."""
    clock = Clock()
    rows = {trial.name: trial.row for trial in trials}
    waiting = {trial.name: ExpectedTrial(steps=trial.steps, cost=(costs or {}).get(trial.row)) for trial in trials}
    left = TimeLeft(waiting, rows.__getitem__, clock=clock)
    return [(clock.now, left.range()) for _ in simulate(trials, slots, left, clock, load)] + [(clock.now, left.range())]


def sweep_of(rows: Sequence[float], seeds: int, draw: random.Random, *, import_seconds: float) -> list[Scripted]:
    """Rows whose steps take these seconds; the first trials import something."""
    trials = []
    for seed in range(seeds):
        for number, step_seconds in enumerate(rows):
            trials.append(
                Scripted(
                    name=f"{number}#{seed}",
                    row=str(number),
                    step_seconds=step_seconds * draw.uniform(0.95, 1.05),
                    start=draw.uniform(0.5, 1.5) + (import_seconds if len(trials) < 2 else 0),
                    end=draw.uniform(1.5, 2.5),
                )
            )
    return trials


SWEEPS = {
    "equal rows": [0.2] * 5,
    "rows with other losses": [0.2, 0.25, 0.28, 0.25, 0.3],
    "the first row is the slowest": [0.3, 0.25, 0.2],
}


@pytest.mark.parametrize("slots", [1, 2, 4])
@pytest.mark.parametrize("kind", SWEEPS)
def test_the_end_is_in_the_range_from_the_first_estimate_on(kind: str, slots: int) -> None:
    played = play(sweep_of(SWEEPS[kind], 3, random.Random(slots), import_seconds=6.0), slots)
    end = played[-1][0]
    found = [(time, estimate) for time, estimate in played if estimate is not None]
    misses = [max(item.low / (end - time + 1), (end - time) / (item.high + 1)) for time, item in found]
    assert sum(miss > 1 for miss in misses) <= 0.15 * len(misses)
    assert max(misses) < 1.1, "and then by little"
    assert found[0][0] - 1000 < 6.0 + 10, "an estimate as soon as two reports are there"


LOADS: dict[str, tuple[Load, float, float]] = {
    "twice as slow from then on": (lambda seconds: 2.0 if seconds > 60 else 1.0, 60.0, 0.8),
    "twice as fast from then on": (lambda seconds: 1.0 if seconds > 120 else 2.0, 120.0, 0.65),
    "twice as slow for a while": (lambda seconds: 2.0 if 60 < seconds < 100 else 1.0, 60.0, 0.4),
}
"""By name a load, when it changes in seconds, and the least share of later estimates that hold; 0.1 to 0.3 without
`SpeedChange`."""


@pytest.mark.parametrize("slots", [1, 2, 4])
@pytest.mark.parametrize("kind", LOADS)
def test_the_range_covers_the_end_again_soon_after_the_load_has_changed(kind: str, slots: int) -> None:
    load, changes_at, share = LOADS[kind]
    trials = sweep_of([0.2, 0.25, 0.3], 3 * slots, random.Random(slots), import_seconds=6.0)
    played = play(trials, slots, load=load)
    end = played[-1][0]
    later = [(time, item) for time, item in played if item is not None and time > 1000 + changes_at + 15]
    held = sum(item.low <= end - time + 1 and end - time <= item.high + 1 for time, item in later)
    assert held >= share * len(later)


def test_the_speed_of_late_is_that_of_the_last_reports() -> None:
    change = SpeedChange()
    assert change.factor == 1.0
    for _ in range(100):
        change.reported(1.0, 1.0, slots=2)
    for _ in range(2 * REPORTS_PER_SLOT):
        change.reported(2.0, 1.0, slots=2)
    assert change.factor == pytest.approx(2.0)
    assert change.cover(TimeRange(10.0, 20.0)) == TimeRange(10.0, pytest.approx(40.0))


def test_the_range_gets_narrow() -> None:
    played = play(sweep_of([0.2] * 4, 4, random.Random(7), import_seconds=6.0), 2)
    found = [estimate for _, estimate in played if estimate is not None]
    first, middle = found[0], found[len(found) // 2]
    assert first.high / first.low > 2.5, "honest after a few steps of the first trial"
    assert middle.high / middle.low < 1.7


def test_what_earlier_sweeps_measured_narrows_the_first_estimate() -> None:
    trials = sweep_of([0.2] * 4, 2, random.Random(3), import_seconds=0.0)
    costs = {str(row): Cost(step_seconds=0.2, other_seconds=3.0, disk_bytes=0) for row in range(4)}
    played = play(trials, 2, costs)
    end = played[-1][0]
    _, first = played[0]
    assert first is not None, "before anything is measured in this sweep"
    assert first.low <= end - 1000 <= first.high
    assert first.high / first.low < 1.6


def test_a_workload_without_steps_is_estimated_from_what_has_ended() -> None:
    clock = Clock()
    unknown = ExpectedTrial(steps=None)
    left = TimeLeft({str(number): unknown for number in range(5)}, lambda _: "row", clock=clock)
    left.started("0", unknown)
    clock.now += 5
    left.reported("0", 1)
    left.reported("0", 2)
    assert left.range() is None
    clock.now += 5
    left.ended("0", State.DONE)
    left.started("1", unknown)
    found = left.range()
    assert found is not None
    assert found.low < 4 * 10 < found.high
    clock.now += 4
    assert (rest := left.rest("1")) is not None
    assert rest.low < 6 < rest.high


def test_a_trial_that_starts_again_is_no_further_trial_and_a_lost_node_frees_no_slot() -> None:
    clock, known = Clock(), ExpectedTrial(steps=10)
    left = TimeLeft(dict.fromkeys("abc", known), lambda _: "row", clock=clock)
    left.started("a", known)
    left.started("b", known)
    assert left.slots == 2
    left.ended("b", State.LOST)
    assert left.slots == 1
    left.started("b", known)
    assert left.waiting == {"c"}
    assert sum(left.counts.values()) == 1


def test_draws_of_a_search_count_and_those_that_a_scheduler_stops_are_shorter() -> None:
    clock, known = Clock(), ExpectedTrial(steps=100)
    left = TimeLeft({}, lambda trial_id: trial_id, to_draw=10, clock=clock)
    assert left.range() is None
    left.to_draw = 9
    left.started("first", known)
    for step in range(10, 110, 10):
        clock.now += 1
        left.reported("first", step)
    whole = left.range()
    left.ended("first", State.DONE)
    left.started("second", known)
    left.to_draw = 8
    for step in (10, 20):
        clock.now += 1
        left.reported("second", step)
    left.ended("second", State.STOPPED)
    stopped = left.range()
    assert whole is not None
    assert stopped is not None
    assert stopped.low < 0.7 * whole.low


def slow_end(rests: Sequence[float], lengths: Sequence[float]) -> float:
    """The end of the last trial, found by counting hundredths of a second."""
    busy, waiting, now = [round(rest * 100) for rest in rests], [round(length * 100) for length in lengths], 0
    while True:
        for slot, until in enumerate(busy):
            if waiting and until <= now:
                busy[slot] = now + waiting.pop(0)
        if not waiting:
            return max(busy) / 100
        now += 1


def test_the_schedule_is_that_of_a_count_by_hundredths() -> None:
    draw = random.Random(5)
    for _ in range(50):
        rests = [draw.randint(0, 300) / 100 for _ in range(draw.randint(1, 4))]
        lengths = [draw.randint(1, 400) / 100 for _ in range(draw.randint(0, 9))]
        assert ends_at(rests, lengths) == pytest.approx(slow_end(rests, lengths))


def test_many_trials_fill_the_slots_evenly() -> None:
    lengths = [1.0] * (MOST_EXACT + 1)
    assert ends_at([0.0, 0.0], lengths) == pytest.approx(ends_at([0.0, 0.0], lengths[:-1]), abs=1.0)


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [
        (360, 480, "6-8 min"),
        (365, 475, "6-8 min"),
        (12.4, 17.2, "12-18 s"),
        (0, 0, "under 1 s"),
        (0, 17, "under 17 s"),
        (31, 58, "30-60 s"),
        (20.0, 24.9, "20-25 s"),
        (40, 89, "40-90 s"),
        (25, 95, "under 2 min"),
        (61, 119, "1-2 min"),
        (95, 140, "1.5-2.5 min"),
        (420, 420, "about 7 min"),
        (5000, 5400, "1-1.5 h"),
        (7000, 14000, "1.5-4 h"),
    ],
)
def test_words(low: float, high: float, words: str) -> None:
    assert TimeRange(low, high).words == words


def test_words_cover_the_range() -> None:
    draw = random.Random(2)
    factors = {"s": 1, "min": 60, "h": 3600}
    for _ in range(2000):
        low = draw.uniform(0, 20000)
        high = low + draw.uniform(0, 20000)
        number, unit = TimeRange(low, high).words.rsplit(" ", 1)
        digits = number.removeprefix("under ").removeprefix("about ")
        ends = [float(part) * factors[unit] for part in digits.split("-")]
        assert ends[-1] >= high - 1e-6
        assert len(ends) == 1 or ends[0] <= low + 1e-6
