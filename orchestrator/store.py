"""RecordStore: the folder that decides what is done; the one writer of `orchestrator.records`."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from orchestrator.errors import StoreError
from orchestrator.records import (
    AttemptRecord,
    ErrorRecord,
    Point,
    State,
    SweepRecord,
    read_attempts,
    read_outcomes,
    read_points,
    sweep_path,
    trial_folder,
)

__all__ = ["RecordStore", "write_atomically"]


class RecordStore:
    """One run directory. Written by the driver alone, readable by anybody at any time."""

    def __init__(self, run_dir: Path) -> None:
        self.run_dir = run_dir

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the run directory for this driver; a dead driver's hold ends with its process.

        Raises StoreError when another driver is alive, naming its process.
        """
        path = self.run_dir / "driver.lock"
        try:
            self.run_dir.mkdir(parents=True, exist_ok=True)
            handle = path.open("a+", encoding="utf-8")
        except OSError as error:
            raise StoreError(
                f"{self.run_dir}: cannot be written ({error.strerror}); choose another --run-dir"
            ) from error
        with handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                handle.seek(0)
                owner = handle.read().strip() or "unknown"
                raise StoreError(
                    f"{self.run_dir}: another sweep is writing here (process {owner}); "
                    "wait for it, or give this one its own --run-dir"
                ) from error
            handle.seek(0)
            handle.truncate()
            handle.write(str(os.getpid()))
            handle.flush()
            yield

    def write_sweep(self, sweep: SweepRecord) -> None:
        """Put down what is promised, before anything runs."""
        write_atomically(sweep_path(self.run_dir, sweep.name), to_text(sweep.to_json()))

    def outcomes(self, trial_ids: Iterable[str]) -> dict[str, AttemptRecord]:
        """For each trial that was tried the attempt that counts."""
        return read_outcomes(self.run_dir, trial_ids)

    def workdir(self, trial_id: str) -> Path:
        """Folder of a trial, for its checkpoints too; absolute, because workers have another current folder."""
        return trial_folder(self.run_dir, trial_id).resolve()

    def next_attempt(self, trial_id: str) -> int:
        """Number for a new attempt at a trial.

        An attempt that started and left no record (the driver was killed) is first closed as lost, so that the
        trial's history is whole.
        """
        ended = read_attempts(self.run_dir, trial_id)
        last_ended = max((record.attempt for record in ended), default=0)
        starts: dict[int, float] = {}
        last_seen: dict[int, float] = {}
        for point in read_points(self.run_dir, trial_id):
            starts.setdefault(point.attempt, point.time)
            last_seen[point.attempt] = point.time
        for attempt in sorted(number for number in starts if number > last_ended):
            error = ErrorRecord(kind="DriverLost", message="the driver ended before the attempt did")
            self.end(
                AttemptRecord(
                    trial_id=trial_id,
                    attempt=attempt,
                    state=State.LOST,
                    started_at=starts[attempt],
                    ended_at=last_seen[attempt],
                    error=error,
                )
            )
            last_ended = attempt
        return last_ended + 1

    def start(self, trial_id: str, attempt: int, config: dict[str, Any], time: float) -> None:
        """An attempt begins: the config is kept beside it, and an empty first point marks the start."""
        folder = trial_folder(self.run_dir, trial_id)
        if not (folder / "trial.json").is_file():
            write_atomically(folder / "trial.json", to_text({"trial_id": trial_id, "config": config}))
        self.append(trial_id, Point(step=0, metrics={}, time=time, attempt=attempt))

    def append(self, trial_id: str, point: Point) -> None:
        """Add one point to a trial's curve; it survives the death of the driver."""
        line = json.dumps(asdict(point)) + "\n"
        path = trial_folder(self.run_dir, trial_id) / "points.jsonl"
        with path.open("ab+") as points:
            if points.tell() > 0:
                points.seek(-1, os.SEEK_END)
                if points.read(1) != b"\n":  # a line cut short by a crash: do not glue the next one to it
                    line = "\n" + line
            points.write(line.encode())

    def end(self, record: AttemptRecord) -> None:
        """Keep how an attempt ended. Durable when this returns."""
        folder = trial_folder(self.run_dir, record.trial_id)
        write_atomically(folder / f"attempt_{record.attempt:03d}.json", to_text(record.to_json()))


def to_text(values: dict[str, Any]) -> str:
    """Indented JSON: records are read by people too."""
    return json.dumps(values, indent=1, ensure_ascii=False) + "\n"


def write_atomically(path: Path, text: str) -> None:
    """Write `text` so that a reader, or a crash at any moment, sees the old file or the new one, never half of it.

    Raises StoreError when the folder cannot be written.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("w", encoding="utf-8") as handle:
            handle.write(text)
            handle.flush()
            os.fsync(handle.fileno())
        partial.replace(path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise StoreError(f"{path}: cannot be written ({error.strerror})") from error
