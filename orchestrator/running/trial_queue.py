"""TrialQueue: what is to run next. Trials wait their turn, some of them until a pause is over."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Iterable

from orchestrator.planning.plan import Trial

__all__ = ["TrialQueue"]


class TrialQueue:
    """Trials in the order they were added; one that is put back comes first again once its pause is over."""

    def __init__(self, trials: Iterable[Trial] = ()) -> None:
        self.ready = deque(trials)
        self.pausing: list[tuple[float, int, Trial]] = []
        self.count = 0

    def add(self, trial: Trial) -> None:
        """Behind all others."""
        self.ready.append(trial)

    def put_back(self, trial: Trial, until: float) -> None:
        """Before all others, from the time `until` on (seconds, on the clock of `take`)."""
        self.count += 1
        heapq.heappush(self.pausing, (until, self.count, trial))

    def take(self, now: float, suits: Callable[[Trial], bool]) -> Trial | None:
        """The first trial that suits, taken off; None when there is none at the moment."""
        while self.pausing and self.pausing[0][0] <= now:
            self.ready.appendleft(heapq.heappop(self.pausing)[2])
        for place, trial in enumerate(self.ready):
            if suits(trial):
                del self.ready[place]
                return trial
        return None

    def clear(self) -> None:
        """Forget everything."""
        self.ready.clear()
        self.pausing.clear()

    def __len__(self) -> int:
        return len(self.ready) + len(self.pausing)
