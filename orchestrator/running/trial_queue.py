"""TrialQueue: the trials that wait to run; retries wait until their back-off is over."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Iterable

from orchestrator.planning.plan import Trial

__all__ = ["TrialQueue"]


class TrialQueue:
    """First in, first out; a retry goes to the front once its back-off is over."""

    def __init__(self, trials: Iterable[Trial] = ()) -> None:
        self.ready = deque(trials)
        self.delayed: list[tuple[float, int, Trial]] = []
        self.count = 0

    def add(self, trial: Trial) -> None:
        """Add a trial at the end."""
        self.ready.append(trial)

    def add_retry(self, trial: Trial, not_before: float) -> None:
        """Put a trial at the front from the time `not_before` on (seconds, on the clock of `pop`)."""
        self.count += 1
        heapq.heappush(self.delayed, (not_before, self.count, trial))

    def pop(self, now: float, can_start: Callable[[Trial], bool]) -> Trial | None:
        """Remove and return the first trial that can start; None when there is none at the moment."""
        while self.delayed and self.delayed[0][0] <= now:
            self.ready.appendleft(heapq.heappop(self.delayed)[2])
        for index, trial in enumerate(self.ready):
            if can_start(trial):
                del self.ready[index]
                return trial
        return None

    def clear(self) -> None:
        """Remove all trials."""
        self.ready.clear()
        self.delayed.clear()

    def __len__(self) -> int:
        return len(self.ready) + len(self.delayed)
