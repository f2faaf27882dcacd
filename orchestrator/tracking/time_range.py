"""TimeRange: a number of seconds that is known between two limits."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Self

__all__ = ["TimeRange"]

UNITS = (
    (20.0, "s", 1.0, 1.0),
    (90.0, "s", 1.0, 5.0),
    (300.0, "min", 60.0, 0.5),
    (5400.0, "min", 60.0, 1.0),
    (math.inf, "h", 3600.0, 0.5),
)
"""Up to which number of seconds a unit is used, its name, its seconds, and the step to which it is rounded."""


@dataclass(frozen=True, slots=True)
class TimeRange:
    """From `low` to `high` seconds."""

    low: float
    high: float

    @classmethod
    def around(cls, seconds: float, uncertainty: float) -> Self:
        """`seconds`, which may be larger or smaller by the factor 1 + `uncertainty`."""
        return cls(seconds / (1 + uncertainty), seconds * (1 + uncertainty))

    def __add__(self, other: TimeRange) -> TimeRange:
        """Both, one after the other."""
        return TimeRange(self.low + other.low, self.high + other.high)

    def times(self, count: float) -> TimeRange:
        """`count` times as long."""
        return TimeRange(self.low * count, self.high * count)

    def less(self, seconds: float) -> TimeRange:
        """What is left after `seconds`; never below zero."""
        return TimeRange(max(self.low - seconds, 0.0), max(self.high - seconds, 0.0))

    @property
    def words(self) -> str:
        """`6-8 min`; `about 7 min` where both limits round to the same, `under 2 min` where the lower one is zero."""
        low, high, unit = self.rounded
        if low == "0":
            return f"under {high} {unit}"
        return f"about {high} {unit}" if low == high else f"{low}-{high} {unit}"

    @property
    def short(self) -> str:
        """`6-8 min` in at most nine letters, for a column."""
        return "{}-{} {}".format(*self.rounded)

    @property
    def rounded(self) -> tuple[str, str, str]:
        """Both limits, rounded away from each other, and their unit."""
        _, unit, seconds, step = next(item for item in UNITS if self.high < item[0])
        low = math.floor(self.low / seconds / step) * step
        high = max(math.ceil(self.high / seconds / step), 1) * step
        return f"{low:g}", f"{high:g}", unit
