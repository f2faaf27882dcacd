"""Background: calls to a slow tracker made from one thread, so that training never waits for it."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

from orchestrator.execution.base import Task
from orchestrator.records import AttemptRecord, Point, SweepRecord
from orchestrator.tracking.base import Tracker

__all__ = ["Background"]


class Background:
    """Makes every call to the tracker that `build` returns, building included, in one thread and in order.

    The first exception is kept in `failure` and ends the mirroring, never the sweep: the record store holds
    everything, and the next run of the same command delivers what is missing.
    """

    def __init__(self, build: Callable[[], Tracker]) -> None:
        self.failure: Exception | None = None
        self.calls: queue.SimpleQueue[Callable[[Tracker], None] | None] = queue.SimpleQueue()
        self.thread = threading.Thread(target=self.work, args=(build,), name="tracking", daemon=True)
        self.thread.start()

    def work(self, build: Callable[[], Tracker]) -> None:
        """Build the tracker, then make the calls as they come until `close`."""
        try:
            tracker = build()
            while (call := self.calls.get()) is not None:
                call(tracker)
        except Exception as failure:  # whatever a server or a disk can do
            self.failure = failure

    def begin(self, sweep: SweepRecord, outcomes: Mapping[str, AttemptRecord]) -> None:
        """Hand on."""
        known = dict(outcomes)
        self.calls.put(lambda tracker: tracker.begin(sweep, known))

    def planned(self, sweep: SweepRecord) -> None:
        """Hand on."""
        self.calls.put(lambda tracker: tracker.planned(sweep))

    def started(self, task: Task) -> None:
        """Hand on."""
        self.calls.put(lambda tracker: tracker.started(task))

    def reported(self, task: Task, point: Point) -> None:
        """Hand on."""
        self.calls.put(lambda tracker: tracker.reported(task, point))

    def ended(self, task: Task, record: AttemptRecord) -> None:
        """Hand on."""
        self.calls.put(lambda tracker: tracker.ended(task, record))

    def finish(self, outcomes: Mapping[str, AttemptRecord], artifacts: Mapping[str, Path], completed: bool) -> None:
        """Hand on."""
        known, files = dict(outcomes), dict(artifacts)
        self.calls.put(lambda tracker: tracker.finish(known, files, completed))

    def close(self, timeout_seconds: float = 120.0) -> None:
        """Wait until all calls were made; after `timeout_seconds` give up and say so in `failure`."""
        self.calls.put(None)
        self.thread.join(timeout_seconds)
        if self.thread.is_alive() and self.failure is None:
            self.failure = TimeoutError(f"not finished after {timeout_seconds:g} s")
