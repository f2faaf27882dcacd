"""TimeLeft: how long a sweep will still take, as a range, from the step rates that were measured.

A trial takes its start, its steps at the pace of its row, and its end, such as the final evaluation. What was measured
little is a wide range, and what was not measured a wider one; where the steps of late are slower or faster than those
before, the range covers both. The trials that wait are laid on as many slots as trials have run at a time.
"""

from __future__ import annotations

import heapq
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from orchestrator.planning.cost_forecast import ExpectedTrial
from orchestrator.store.attempt_record import State
from orchestrator.tracking.speed_change import SpeedChange
from orchestrator.tracking.time_range import TimeRange
from orchestrator.tracking.timed_trial import Pace, TimedTrial

__all__ = ["TimeLeft"]

SURE = 0.05
"""Relative uncertainty that stays, however much was measured: the load of a machine changes."""
OWN_ROW = 0.3
"""Further uncertainty of what was measured on a few steps of a row; it shrinks with each trial."""
OTHER_ROW = 0.9
"""Further uncertainty of a row of which nothing was measured, if one other was: its method or model may be slower."""
LONGEST_END = 0.25
"""Most that the end of a trial is taken to last before one has ended, as a share of its training."""
MOST_EXACT = 2000
"""With more trials that wait, the slots are taken to be filled evenly."""


class TimeLeft:
    """Follows the trials of a sweep, and estimates when the last one ends. `clock` returns seconds."""

    def __init__(
        self,
        waiting: Mapping[str, ExpectedTrial],
        row_of: Callable[[str], str],
        *,
        to_draw: int = 0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`waiting`: the trials to run by id. `row_of`: the row of a trial. `to_draw`: trials that a search adds."""
        self.row_of = row_of
        self.to_draw = to_draw
        """Changed as the plan grows."""
        self.clock = clock
        self.kinds = {trial_id: (row_of(trial_id), expected) for trial_id, expected in waiting.items()}
        """Row and expectation of every trial that is known."""
        self.waiting = set(waiting)
        self.counts = Counter(self.kinds.values())
        """How many trials of a kind wait."""
        self.running: dict[str, TimedTrial] = {}
        self.slots = 1
        """Most trials that ran at a time."""
        self.paces: dict[str, Pace] = {}
        """Of trials that have ended, and of earlier sweeps, by row."""
        self.starts: list[float] = []
        """Seconds before the first step, of trials that have ended and for which nothing was imported."""
        self.first_start = 0.0
        """The longest start of a trial for which something was imported."""
        self.ends: list[float] = []
        """Seconds after the last step."""
        self.has_reports = False
        self.speed_change = SpeedChange()
        self.shares: list[float] = []
        """How much of each ended trial was trained, 0..1."""
        self.stops_early = False
        """Whether a scheduler has stopped a trial."""
        for row, expected in self.counts:
            if (cost := expected.cost) is not None and row not in self.paces:
                self.learn(row, cost.step_seconds if expected.steps else cost.other_seconds, 1.0)

    def started(self, trial_id: str, expected: ExpectedTrial) -> None:
        """A trial starts, for the first time or again."""
        row, known = kind = self.kinds.setdefault(trial_id, (self.row_of(trial_id), expected))
        if trial_id in self.waiting:
            self.waiting.discard(trial_id)
            self.counts[kind] -= 1
        self.running[trial_id] = TimedTrial(row, known, self.clock(), self.has_reports)
        self.slots = max(self.slots, len(self.running))

    def reported(self, trial_id: str, step: int) -> None:
        """A trial has reported a step."""
        self.has_reports = True
        trial, now = self.running[trial_id], self.clock()
        before = trial.last
        trial.reported(step, now)
        if before is not None and step > before[0] and trial.expected.steps is not None:
            self.compare(trial, now - before[1], step - before[0])

    def compare(self, trial: TimedTrial, seconds: float, steps: int) -> None:
        """Compare the last steps of a trial with what those of its row have taken on average, its own among them."""
        if (own := trial.step_seconds) is not None:
            average = self.paces.get(trial.row, Pace()).plus(own, trial.timed_share).mean
            self.speed_change.reported(seconds, steps * average, self.slots)

    def ended(self, trial_id: str, state: State) -> None:
        """A trial has ended; one that is retried starts again."""
        now, trial = self.clock(), self.running.pop(trial_id)
        steps, step_seconds, start = trial.expected.steps, trial.step_seconds, trial.start_seconds
        if state is State.LOST:  # perhaps with its node
            self.slots = max(len(self.running), 1)
        if steps is not None and step_seconds is not None:
            self.learn(trial.row, step_seconds, trial.timed_share)
        elif state is State.DONE:  # its duration is all that is known
            self.learn(trial.row, (now - trial.started_at) / (steps or 1), 1.0)
        if start is not None and trial.warm:
            self.starts.append(start)
        elif start is not None:
            self.first_start = max(self.first_start, start)
        if state is State.DONE and steps is not None and (end := trial.end_seconds(now)) is not None:
            self.ends.append(end)
        if state in (State.DONE, State.STOPPED):
            self.shares.append(1.0 if state is State.DONE else trial.timed_share)
            self.stops_early = self.stops_early or state is State.STOPPED

    def learn(self, row: str, step_seconds: float, share: float) -> None:
        """What a step of a row takes, measured on a share of a trial."""
        if share > 0:
            self.paces[row] = self.paces.get(row, Pace()).plus(step_seconds, share)

    # -- the estimate

    def range(self) -> TimeRange | None:
        """Until the last trial ends; None before anything is measured."""
        paces = self.measured()
        if not paces:
            return None
        rests = [self.rest_of(trial, paces) for trial in list(self.running.values())]
        rests += [TimeRange(0.0, 0.0)] * (self.slots - len(rests))
        lengths = self.lengths(paces)
        return TimeRange(
            ends_at([rest.low for rest in rests], [length.low for length in lengths]),
            ends_at([rest.high for rest in rests], [length.high for length in lengths]),
        )

    def rest(self, trial_id: str) -> TimeRange | None:
        """Until a running trial ends; None before anything is measured."""
        paces, trial = self.measured(), self.running.get(trial_id)
        return self.rest_of(trial, paces) if trial is not None and paces else None

    def measured(self) -> dict[str, Pace]:
        """The pace of each row of which something was measured, with the trials that run."""
        paces = dict(self.paces)
        for trial in list(self.running.values()):
            if (seconds := trial.step_seconds) is not None and trial.expected.steps is not None:
                paces[trial.row] = paces.get(trial.row, Pace()).plus(seconds, trial.timed_share)
        return paces

    def rest_of(self, trial: TimedTrial, paces: Mapping[str, Pace]) -> TimeRange:
        """Until `trial` ends."""
        now, steps = self.clock(), trial.expected.steps
        if trial.last is None or steps is None:
            return self.length(trial.row, trial.expected, paces).less(now - trial.started_at)
        pace = pace_of(trial.row, paces)
        rest = pace.times(max(steps - trial.last[0], 0)) + self.end_of(trial.expected, pace)
        return self.speed_change.cover(rest).less(now - trial.last[1])

    def length(self, row: str, expected: ExpectedTrial, paces: Mapping[str, Pace]) -> TimeRange:
        """The duration of a trial that has not started."""
        pace, cost = pace_of(row, paces), expected.cost
        if expected.steps is None:  # one step is the whole trial
            return pace
        if not self.ends and cost is not None:
            whole = pace.times(expected.steps) + TimeRange.around(cost.other_seconds, OWN_ROW)
        else:
            whole = self.start() + pace.times(expected.steps) + self.end_of(expected, pace)
        return self.speed_change.cover(whole)

    def start(self) -> TimeRange:
        """What a trial takes before its first step, if nothing is imported for it."""
        running = [(trial.warm, trial.start_seconds) for trial in list(self.running.values())]
        warm = [*self.starts, *(seconds for is_warm, seconds in running if is_warm and seconds is not None)]
        if warm:
            return mean_of(warm)
        return TimeRange(0.0, max([self.first_start, *(seconds for _, seconds in running if seconds is not None)]))

    def end_of(self, expected: ExpectedTrial, pace: TimeRange) -> TimeRange:
        """What a trial takes after its last step."""
        if self.ends:
            return mean_of(self.ends)
        if expected.cost is not None:  # it does not say how much of it was the end
            return TimeRange(0.0, expected.cost.other_seconds * (1 + OWN_ROW))
        return TimeRange(0.0, LONGEST_END * pace.high * (expected.steps or 0))

    def lengths(self, paces: Mapping[str, Pace]) -> list[TimeRange]:
        """The durations of the trials that wait, and of those that a search will add."""
        found: list[TimeRange] = []
        for (row, expected), count in list(self.counts.items()):
            found += [self.length(row, expected, paces)] * count
        if self.to_draw and self.kinds:
            _, known = next(reversed(self.kinds.values()))
            found += [self.length("", ExpectedTrial(steps=known.steps), paces)] * self.to_draw
        if self.stops_early:
            share = sum(self.shares) / len(self.shares)
            found = [TimeRange(item.low * share, item.high) for item in found]
        return found


def pace_of(row: str, paces: Mapping[str, Pace]) -> TimeRange:
    """Seconds per step of a row; of one that was not measured, what the others say, with more uncertainty."""
    if row in paces:
        return TimeRange.around(paces[row].mean, SURE + OWN_ROW / (1 + paces[row].weight))
    mean = sum(pace.mean for pace in paces.values()) / len(paces)
    weight = sum(min(pace.weight, 1.0) for pace in paces.values())
    return TimeRange.around(mean, SURE + OTHER_ROW / (1 + weight))


def mean_of(seconds: Sequence[float]) -> TimeRange:
    """What a further measurement will be."""
    return TimeRange.around(sum(seconds) / len(seconds), SURE + OWN_ROW / (1 + len(seconds)))


def ends_at(rests: Sequence[float], lengths: Sequence[float]) -> float:
    """When the last trial ends, in seconds: each of `lengths` starts, in order, on the slot that is free first.

    `rests`: seconds until each slot is free. With many trials the slots are taken to be filled evenly.
    """
    if len(lengths) > MOST_EXACT:
        return max(max(rests), (sum(rests) + sum(lengths)) / len(rests))
    free_at = sorted(rests)
    for length in lengths:
        heapq.heapreplace(free_at, free_at[0] + length)
    return max(free_at)
