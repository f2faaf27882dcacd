"""When a delivery to MLflow is tried again, and for how long: the same for a running sweep and for `sync`."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from orchestrator.errors import AccessError, OutageError, TrackingError

__all__ = ["BackOff", "Retries", "RetryTimings"]

T = TypeVar("T")

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class RetryTimings:
    """When deliveries are made, tried again and given up."""

    round_seconds: float = 1.0
    """From the beginning of a round to the next: several reports of a trial travel in one request."""
    first_retry_seconds: float = 1.0
    """After a failure; each further failure doubles it."""
    longest_retry_seconds: float = 15.0
    closing_retry_seconds: float = 2.0
    """Longest wait between retries once the sweep is over."""
    outage_seconds: float = 60.0
    """At the end of the sweep, and in `sync`: after an outage of this length, what is missing is left to `sync`."""
    closing_seconds: float = 600.0
    """At the end of the sweep: after this time, what is missing is left to `sync`, even without an outage."""
    admission_seconds: float = 20.0
    """Before the first trial: the sweep waits this long for an answer and then starts without one."""


class BackOff:
    """The wait after each failure: twice that of the failure before, up to a limit."""

    def __init__(self, timings: RetryTimings) -> None:
        self.timings = timings
        self.seconds = timings.first_retry_seconds

    def after_failure(self) -> float:
        """How long to wait now, in seconds."""
        seconds, self.seconds = self.seconds, min(2 * self.seconds, self.timings.longest_retry_seconds)
        return seconds

    def reset(self) -> None:
        """Something succeeded."""
        self.seconds = self.timings.first_retry_seconds


class Retries:
    """Repeats requests during an outage, with a line each time."""

    def __init__(
        self,
        timings: RetryTimings | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.timings = timings or RetryTimings()
        self.back_off = BackOff(self.timings)
        self.clock, self.sleep = clock, sleep
        self.failing_since: float | None = None
        self.passing: tuple[type[TrackingError], ...] = (OutageError,)
        """What may pass; once the server has answered also a refusal, which may be that of a proxy before it."""

    def run(self, request: Callable[[], T]) -> T:
        """What `request` returns, as soon as it succeeds.

        Raises the last OutageError after `outage_seconds` without progress, and any other error at once.
        """
        while True:
            try:
                result = request()
            except self.passing as error:
                now = self.clock()
                self.failing_since = now if self.failing_since is None else self.failing_since
                if now - self.failing_since > self.timings.outage_seconds:
                    raise
                seconds = self.back_off.after_failure()
                logger.warning("%s (next try in %.0f s)", error, seconds)
                self.sleep(seconds)
            else:
                self.progress()
                return result

    def progress(self) -> None:
        """Something was delivered: the outage, if there was one, is over."""
        self.failing_since = None
        self.back_off.reset()
        self.passing = (OutageError, AccessError)
