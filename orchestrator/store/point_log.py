"""Curves: how the points of running trials are kept, in a file that grows or, where files cannot, in chunks."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Protocol

from orchestrator.errors import StoreError
from orchestrator.store.backends import Files, LocalFiles
from orchestrator.store.records import Point, trial_key

__all__ = ["AppendedCurves", "ChunkedCurves", "Curves"]

logger = logging.getLogger(__name__)


class Curves(Protocol):
    """The curves of all trials. Read by `RunDirectory.points`, at any time."""

    def append(self, trial_id: str, point: Point) -> None:
        """Add a point; the cost does not grow with the number of points or of trials."""

    def settle(self, trial_id: str) -> None:
        """Make all points of a trial durable; returns when they are."""

    def close(self) -> None:
        """Put down what is left of all trials."""


class AppendedCurves:
    """On a disk: `points.jsonl`, one line per point. A point survives the driver's death, `settle` the machine's."""

    def __init__(self, files: LocalFiles) -> None:
        self.files = files

    def append(self, trial_id: str, point: Point) -> None:
        """Add a line."""
        self.files.append(trial_key(trial_id, "points.jsonl"), to_line(point))

    def settle(self, trial_id: str) -> None:
        """Flush the file."""
        self.files.sync(trial_key(trial_id, "points.jsonl"))

    def close(self) -> None:
        """Nothing waits."""


@dataclass
class Tail:
    """The newest chunk of a trial's curve, put again as it fills."""

    attempt: int
    number: int = 1
    lines: list[bytes] = field(default_factory=list)
    unwritten: bool = False


class ChunkedCurves:
    """In an object store, where nothing can be appended: `points_<attempt>_<chunk>.jsonl`, each object put whole.

    The newest chunk is put again with the points that came since, after `delay_seconds` at the latest, until it
    holds `chunk_points`; so a request carries a bounded number of points and a curve is few objects. A driver that
    dies takes the points of the last `delay_seconds` with it, but not the sign that an attempt began.
    """

    def __init__(
        self, files: Files, check: Callable[[], None], *, delay_seconds: float = 5.0, chunk_points: int = 64
    ) -> None:
        """`check` raises StoreError when this driver may not write any more."""
        self.files = files
        self.check = check
        self.delay_seconds = delay_seconds
        self.chunk_points = chunk_points
        self.tails: dict[str, Tail] = {}
        self.timer: threading.Timer | None = None
        self.lock = threading.RLock()

    def append(self, trial_id: str, point: Point) -> None:
        """Keep the point; put it at once if it is an attempt's first or fills its chunk."""
        with self.lock:
            tail = self.tails.get(trial_id)
            if tail is None or tail.attempt != point.attempt:
                self.settle(trial_id)
                tail = self.tails[trial_id] = Tail(point.attempt)
            begins = tail.number == 1 and not tail.lines
            tail.lines.append(to_line(point))
            tail.unwritten = True
            full = len(tail.lines) >= self.chunk_points
            if begins or full:
                self.put(trial_id, tail)
            else:
                self.put_later()
            if full:
                tail.number, tail.lines = tail.number + 1, []

    def settle(self, trial_id: str) -> None:
        """Put what waits of a trial, and forget the trial."""
        with self.lock:
            if trial_id in self.tails:
                self.put(trial_id, self.tails[trial_id])
                del self.tails[trial_id]

    def close(self) -> None:
        """Put what waits of all trials."""
        with self.lock:
            if self.timer is not None:
                self.timer.cancel()
                self.timer = None
            for trial_id in list(self.tails):
                self.settle(trial_id)

    def put(self, trial_id: str, tail: Tail) -> None:
        """Put a trial's newest chunk, if it has changed."""
        if tail.unwritten:
            key = trial_key(trial_id, f"points_{tail.attempt:03d}_{tail.number:05d}.jsonl")
            self.check()
            self.files.write(key, b"".join(tail.lines))
            tail.unwritten = False

    def put_later(self) -> None:
        """Start the clock, unless it runs."""
        if self.timer is None:
            self.timer = threading.Timer(self.delay_seconds, self.put_waiting)
            self.timer.daemon = True
            self.timer.start()

    def put_waiting(self) -> None:
        """Time is up: put what waits. What cannot be put waits on; `settle` will complain."""
        with self.lock:
            self.timer = None
            for trial_id, tail in self.tails.items():
                try:
                    self.put(trial_id, tail)
                except StoreError as error:
                    logger.debug("points wait: %s", error)
                    self.put_later()


def to_line(point: Point) -> bytes:
    """A point as a line of JSON, ASCII only."""
    return json.dumps(asdict(point)).encode() + b"\n"
