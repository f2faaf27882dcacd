"""EventTracker: writes a sweep's events as JSON lines, for scripts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TextIO

from orchestrator.running.task import Task
from orchestrator.store.attempt_record import AttemptRecord, Point
from orchestrator.store.sweep_record import SweepRecord

__all__ = ["EventTracker"]


class EventTracker:
    """Writes `{"event": ..., ...}` to a stream and flushes each line."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream

    def begin(self, sweep: SweepRecord, outcomes: Mapping[str, AttemptRecord]) -> None:
        """`begin`: the sweep's name, the number of planned trials and of those that ended before."""
        self.write("begin", sweep=sweep.name, trials=len(sweep.trial_ids), ended_before=len(outcomes))

    def planned(self, sweep: SweepRecord) -> None:
        """`planned`: how many trials the plan has now."""
        self.write("planned", sweep=sweep.name, trials=len(sweep.trial_ids))

    def started(self, task: Task) -> None:
        """`started`: a trial and its attempt."""
        self.write("started", trial_id=task.trial_id, attempt=task.attempt)

    def reported(self, task: Task, point: Point) -> None:
        """`reported`: a step and its metrics."""
        self.write("reported", trial_id=task.trial_id, step=point.step, metrics=dict(point.metrics))

    def ended(self, task: Task, record: AttemptRecord) -> None:
        """`ended`: the record of the attempt."""
        self.write("ended", **record.to_json())

    def finish(self, outcomes: Mapping[str, AttemptRecord], artifacts: Mapping[str, Path], completed: bool) -> None:
        """`finish`: whether every trial is done, and the tables written."""
        self.write("finish", completed=completed, files={style: str(path) for style, path in artifacts.items()})

    def write(self, event: str, **values: Any) -> None:
        """One line."""
        self.stream.write(json.dumps({"event": event, **values}) + "\n")
        self.stream.flush()
