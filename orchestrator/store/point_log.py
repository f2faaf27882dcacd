"""Point log: the points of running trials, appended to a file or, in an object store, written in chunks.

`RunDirectory.points` reads them, at any time. The cost of adding a point does not depend on how many there are.
"""

from __future__ import annotations

import json
import logging
import threading
import zlib
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

from orchestrator.errors import StoreError
from orchestrator.machine.json_text import parse_json
from orchestrator.store.attempt_record import LATEST_SECONDS, Point
from orchestrator.store.backends import Files, LocalFiles
from orchestrator.store.keys import trial_key
from orchestrator.store.typed_values import build

__all__ = ["AppendedPoints", "ChunkedPoints", "PointLine", "read_line"]

CHECK = "check"
"""Key at the end of a line: the CRC-32 of what is before it, eight hexadecimal digits; version 0.1 wrote none."""
MOST_STEPS = 2**63
"""MLflow's step is a 64-bit integer."""

logger = logging.getLogger(__name__)


class AppendedPoints:
    """On a disk: `points.jsonl`, a line per point. It survives the driver's death, and after `flush` the machine's."""

    def __init__(self, files: LocalFiles) -> None:
        self.files = files

    def append(self, trial_id: str, point: Point) -> None:
        """Add a point."""
        self.files.append(trial_key(trial_id, "points.jsonl"), to_line(point))

    def flush(self, trial_id: str) -> None:
        """Return once all points of a trial are durable."""
        self.files.sync(trial_key(trial_id, "points.jsonl"))

    def close(self) -> None:
        """Nothing to do: no point is kept in memory."""


@dataclass
class Tail:
    """The newest chunk of a trial's points, rewritten as it fills."""

    attempt: int
    number: int = 1
    lines: list[bytes] = field(default_factory=list)
    unwritten: bool = False


class ChunkedPoints:
    """In an object store, where nothing can be appended: `points_<attempt>_<chunk>.jsonl`, each object written whole.

    The newest chunk is rewritten with the points that have arrived, at most `delay_seconds` later, until it holds
    `chunk_points`. So a request is of limited size, and a curve consists of few objects. When a driver dies, the points
    of its last `delay_seconds` are lost, but the first point of an attempt is written at once.
    """

    def __init__(
        self, files: Files, check: Callable[[], None], *, delay_seconds: float = 5.0, chunk_points: int = 64
    ) -> None:
        """`check` raises StoreError when this driver has lost the run directory."""
        self.files = files
        self.check = check
        self.delay_seconds = delay_seconds
        self.chunk_points = chunk_points
        self.tails: dict[str, Tail] = {}
        self.timer: threading.Timer | None = None
        self.lock = threading.RLock()

    def append(self, trial_id: str, point: Point) -> None:
        """Keep the point; write it at once if it is the attempt's first or fills its chunk."""
        with self.lock:
            tail = self.tails.get(trial_id)
            if tail is None or tail.attempt != point.attempt:
                self.flush(trial_id)
                tail = self.tails[trial_id] = Tail(point.attempt)
            first = tail.number == 1 and not tail.lines
            tail.lines.append(to_line(point))
            tail.unwritten = True
            full = len(tail.lines) >= self.chunk_points
            if first or full:
                self.write(trial_id, tail)
            else:
                self.write_later()
            if full:
                tail.number, tail.lines = tail.number + 1, []

    def flush(self, trial_id: str) -> None:
        """Write the points of a trial that are still in memory, and forget the trial."""
        with self.lock:
            if trial_id in self.tails:
                self.write(trial_id, self.tails[trial_id])
                del self.tails[trial_id]

    def close(self) -> None:
        """Write the points of all trials that are still in memory, and forget them. Raises StoreError."""
        with self.lock:
            if self.timer is not None:
                self.timer.cancel()
                self.timer = None
            try:
                for trial_id in list(self.tails):
                    self.flush(trial_id)
            finally:
                self.tails.clear()

    def write(self, trial_id: str, tail: Tail) -> None:
        """Write a trial's newest chunk, if it has changed."""
        if tail.unwritten:
            key = trial_key(trial_id, f"points_{tail.attempt:03d}_{tail.number:05d}.jsonl")
            self.check()
            self.files.write(key, b"".join(tail.lines))
            tail.unwritten = False

    def write_later(self) -> None:
        """Start the timer, unless it runs."""
        if self.timer is None:
            self.timer = threading.Timer(self.delay_seconds, self.write_all)
            self.timer.daemon = True
            self.timer.start()

    def write_all(self) -> None:
        """Write what is in memory; after an error try again later. `flush` raises the error."""
        with self.lock:
            self.timer = None
            for trial_id, tail in self.tails.items():
                try:
                    self.write(trial_id, tail)
                except StoreError as error:
                    logger.debug("points not written yet: %s", error)
                    self.write_later()


@dataclass(frozen=True, kw_only=True, slots=True)
class PointLine:
    """A line of a trial's curves."""

    point: Point
    verified: bool
    """Whether the line has a checksum; one that does not match is an error."""


def to_line(point: Point) -> bytes:
    """A point as a line of JSON in ASCII, with a checksum of the rest of the line."""
    body = json.dumps(asdict(point)).encode()[:-1]
    return body + f', "{CHECK}": "{zlib.crc32(body):08x}"}}\n'.encode()


def read_line(line: bytes) -> PointLine:
    """Inverse of `to_line`. Raises ValueError for a line that is not what was written, or no point."""
    values = parse_json(line)
    if not isinstance(values, dict) or CHECK not in values:
        return PointLine(point=point_of(values), verified=False)
    body = line[: max(line.rfind(f', "{CHECK}": '.encode()), 0)]
    if values.pop(CHECK) != f"{zlib.crc32(body):08x}":
        raise ValueError("it does not match its checksum")
    return PointLine(point=point_of(values), verified=True)


def point_of(values: Any) -> Point:
    """A point. Raises ValueError for a value of a wrong type, or one that cannot be right."""
    point = build(Point, values)
    if not 0 <= point.time < LATEST_SECONDS:
        raise ValueError(f"time: {point.time} is not a time")
    if not 0 <= point.step < MOST_STEPS:
        raise ValueError(f"step: {point.step} is not a step")
    return point
