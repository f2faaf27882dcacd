"""GuardedTracker: a tracker that cannot hurt the sweep; its first failure is one line, and its end."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from orchestrator.redaction import one_line
from orchestrator.running.task import Task
from orchestrator.running.tracker import Tracker
from orchestrator.store.attempt_record import AttemptRecord, Point
from orchestrator.store.sweep_record import SweepRecord

__all__ = ["GuardedTracker"]

logger = logging.getLogger(__name__)


class GuardedTracker:
    """Passes every event on until one fails; after that only `finish`, for the tracker to release what it holds."""

    def __init__(self, tracker: Tracker) -> None:
        self.tracker = tracker
        self.failed = False

    def planned(self, sweep: SweepRecord) -> None:
        """The plan has grown."""
        self.tell("planned", sweep)

    def begin(self, sweep: SweepRecord, outcomes: Mapping[str, AttemptRecord]) -> None:
        """The sweep starts."""
        self.tell("begin", sweep, outcomes)

    def started(self, task: Task) -> None:
        """A worker has started the task."""
        self.tell("started", task)

    def reported(self, task: Task, point: Point) -> None:
        """A point has arrived."""
        self.tell("reported", task, point)

    def ended(self, task: Task, record: AttemptRecord) -> None:
        """The attempt is over."""
        self.tell("ended", task, record)

    def finish(self, outcomes: Mapping[str, AttemptRecord], artifacts: Mapping[str, Path], completed: bool) -> None:
        """The sweep is over."""
        self.tell("finish", outcomes, artifacts, completed)

    def preparing(self, what: str) -> None:
        """Something is being started; few trackers want to know (`PreparationTracker`)."""
        if hasattr(self.tracker, "preparing"):
            self.tell("preparing", what)

    def tell(self, event: str, *values: Any) -> None:
        """Call one method; KeyboardInterrupt passes, because it is for the sweep."""
        if self.failed and event != "finish":
            return
        try:
            getattr(self.tracker, event)(*values)
        except (Exception, SystemExit) as error:
            if not self.failed:
                logger.warning("%s; the sweep continues without it", describe(self.tracker, event, error))
                logger.debug("%s", "".join(traceback.format_exception(error)))
            self.failed = True


def describe(tracker: Tracker, event: str, error: BaseException) -> str:
    """`FailureAlert.ended failed (alert.py:12, ConnectionError: no route)`."""
    place = traceback.extract_tb(error.__traceback__)[-1]
    message = one_line(f"{type(error).__name__}: {error}")
    where = f"{Path(place.filename).name}:{place.lineno}"
    return f"{type(tracker).__name__}.{event} failed ({where}, {message[:300]})"
