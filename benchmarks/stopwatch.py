"""Where the time of a process goes: each moment counts for the innermost function that is watched."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import wraps
from typing import Any

__all__ = ["Seam", "Stopwatch"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Seam:
    """A function that is watched."""

    part: str
    """What its time counts for; empty: only its calls are counted."""
    owner: Any
    """The class or module that has it."""
    name: str


@dataclass(kw_only=True, slots=True)
class Stopwatch:
    """Seconds by part, of one thread. They add up to the time in the outermost watched functions.

    Within a function of an `inclusive` part, only functions of other inclusive parts are watched: the network that an
    evaluation calls counts for the evaluation.
    """

    inclusive: frozenset[str] = frozenset()
    clock: Callable[[], float] = time.perf_counter
    seconds: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    calls: Counter[str] = field(default_factory=Counter)
    """By `owner.name` of the seam."""
    running: list[str] = field(default_factory=list)
    """The parts that are watched now, outermost first."""
    since: float = 0.0
    """When the time of the innermost of them was last counted."""

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Count the time of the body for a part."""
        if self.running and self.running[-1] in self.inclusive and name not in self.inclusive:
            yield
            return
        self.count()
        self.running.append(name)
        try:
            yield
        finally:
            self.count()
            self.running.pop()

    def count(self) -> None:
        """Add the time since the last call to the innermost part."""
        now = self.clock()
        if self.running:
            self.seconds[self.running[-1]] += now - self.since
        self.since = now

    def watched(self, function: Callable[..., Any], part: str, label: str) -> Callable[..., Any]:
        """The function, timed."""

        @wraps(function)
        def timed(*arguments: Any, **options: Any) -> Any:
            self.calls[label] += 1
            if not part:
                return function(*arguments, **options)
            with self.part(part):
                return function(*arguments, **options)

        return timed

    @contextmanager
    def watching(self, seams: Sequence[Seam]) -> Iterator[None]:
        """Time these functions while the body runs. Raises AttributeError if one of them does not exist."""
        originals = [(seam, getattr(seam.owner, seam.name)) for seam in seams]
        try:
            for seam, original in originals:
                label = f"{getattr(seam.owner, '__name__', seam.owner)}.{seam.name}"
                setattr(seam.owner, seam.name, self.watched(original, seam.part, label))
            yield
        finally:
            for seam, original in originals:
                setattr(seam.owner, seam.name, original)
