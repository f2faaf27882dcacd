"""RecordStore: the folder that decides what is done; the one writer of `orchestrator.store.records`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from orchestrator.store.backends import LocalFiles, open_files
from orchestrator.store.cleanup import Leftover, superfluous, unreferenced
from orchestrator.store.lease import Lease, Patience
from orchestrator.store.lock import hold
from orchestrator.store.parquet_cache import Attempt, pack
from orchestrator.store.point_log import AppendedCurves, ChunkedCurves, Curves
from orchestrator.store.records import AttemptRecord, ErrorRecord, Point, State, SweepRecord, sweep_key, trial_key
from orchestrator.store.run_directory import (
    RunDirectory,
    attempt_files,
    attempt_keys,
    attempt_name,
    attempt_number,
    deciding,
    point_files,
    stored_attempts,
)

__all__ = ["RecordStore"]


class RecordStore:
    """One run directory, local or in an object store. Written by the driver alone, readable by anybody at any time.

    A record is put whole or not at all, and never before the points that it sums up. Every method that writes
    raises StoreError when it cannot, or when this driver was suspended so long that another one took over.
    """

    def __init__(self, run_dir: Path | str, *, patience: Patience | None = None) -> None:
        """`run_dir` is a path or a URL that fsspec knows; a `Path` made from a URL is understood too.

        `patience`: how long the lease of a store without file locks waits for what.
        """
        self.run_dir = run_dir
        self.files = open_files(run_dir)
        self.patience = patience
        self.lease: Lease | None = None
        self.locked = False
        local = self.files if isinstance(self.files, LocalFiles) else None
        self.curves: Curves = AppendedCurves(local) if local else ChunkedCurves(self.files, self.check)

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the run directory for this driver; a dead driver's hold ends with it, at once or within 25 seconds.

        Raises StoreError when another driver is alive, naming its process, or when nothing can be written here.
        """
        with hold(self.files, self.patience) as lease:
            self.lease, self.locked = lease, True
            try:
                yield
            finally:
                try:
                    self.curves.close()
                finally:
                    self.lease, self.locked = None, False

    def check(self) -> None:
        """Raise StoreError when another driver has taken over."""
        if self.lease is not None:
            self.lease.check()

    def write_sweep(self, sweep: SweepRecord) -> None:
        """Put down what is promised, before anything runs."""
        self.write(sweep_key(sweep.name), sweep.to_json())

    def outcomes(self, trial_ids: Iterable[str]) -> dict[str, AttemptRecord]:
        """For each trial that was tried the attempt that counts."""
        return RunDirectory(self.run_dir).outcomes(trial_ids)

    def workdir(self, trial_id: str) -> Path:
        """Folder in which a trial works; absolute, because workers have another current folder.

        For an object store a folder of the machine it runs on: `checkpoint_sync` carries the checkpoints.
        """
        return RunDirectory(self.run_dir).trial_folder(trial_id).resolve()

    def next_attempt(self, trial_id: str) -> int:
        """Number for a new attempt at a trial; of one never started no more than its folder is looked at.

        An attempt that started and left no record (the driver was killed) is first closed as lost, so that the
        trial's history is whole.
        """
        names = self.files.names(trial_key(trial_id))
        last_ended = max((attempt_number(name) for name in attempt_files(names)), default=0)
        if not point_files(names):
            return last_ended + 1
        starts: dict[int, float] = {}
        last_seen: dict[int, float] = {}
        for point in RunDirectory(self.run_dir).points(trial_id):
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

    def start(
        self, trial_id: str, attempt: int, config: dict[str, Any], time: float, facts: Mapping[str, Any] | None = None
    ) -> None:
        """An attempt begins: what its id stands for is kept beside it, and an empty first point marks the start.

        `facts`: what the id is a function of besides the config.
        """
        if self.files.read(trial_key(trial_id, "trial.json")) is None:
            known = {"trial_id": trial_id, "config": config, **(facts or {})}
            self.write(trial_key(trial_id, "trial.json"), known)
        self.append(trial_id, Point(step=0, metrics={}, time=time, attempt=attempt))

    def append(self, trial_id: str, point: Point) -> None:
        """Add one point to a trial's curve; it survives the death of the driver (in an object store: soon)."""
        self.check()
        self.curves.append(trial_id, point)

    def end(self, record: AttemptRecord) -> None:
        """Keep how an attempt ended. Durable when this returns, and the points before it."""
        self.check()
        self.curves.settle(record.trial_id)
        self.write(trial_key(record.trial_id, attempt_name(record.attempt)), record.to_json())

    def compact(self, sweep_name: str) -> int:
        """Write the finished trials of a sweep to one Parquet file; the driver does when a sweep ends.

        Returns the number of trials in it. It is a cache (`orchestrator.store.parquet_cache`): the records stay, and a
        reader that finds it damaged, out of date or gone reads those.
        """
        trial_ids = [cell.trial_id for cell in RunDirectory(self.run_dir).sweep(sweep_name).cells]
        keys = attempt_keys(self.files, list(dict.fromkeys(trial_ids)))
        every_key = [key for its_keys in keys.values() for key in its_keys]
        # before the contents: the stamp of a record that changes in between will not match
        stamps = dict(zip(every_key, self.files.stamps(every_key), strict=True))
        rows: list[Attempt] = []
        finished = 0
        for stored in stored_attempts(self.files, keys).values():
            outcome = deciding([item.record for item in stored])
            if outcome is None or outcome.state is not State.DONE:
                continue
            finished += 1
            rows += [
                Attempt(key=key, stamp=stamps[key] or "", text=text, counts=record is outcome)
                for key, text, record in stored
            ]
        self.check()
        self.files.write(sweep_key(sweep_name, "records.parquet"), pack(rows))
        return finished

    def clean(self, trial_ids: Iterable[str]) -> list[Leftover]:
        """Delete these trials, as far as no sweep of the store refers to them; returns those deleted.

        Takes the lock unless this driver has it, and looks again: a sweep may have been promised since they were
        shown.
        """
        chosen = set(trial_ids)
        return self.remove(lambda: [item for item in unreferenced(self.run_dir) if item.trial_id in chosen])

    def prune(self, trial_ids: Iterable[str], keep_checkpoints: str = "all") -> list[Leftover]:
        """Delete what finished trials need no longer (`orchestrator.store.cleanup.superfluous`); returns what."""
        return self.remove(lambda: superfluous(self.run_dir, trial_ids, keep_checkpoints))

    def remove(self, find: Callable[[], list[Leftover]]) -> list[Leftover]:
        """Delete what `find` finds under the lock."""
        if not self.locked:
            with self.lock():
                return self.remove(find)
        found = find()
        for item in found:
            self.check()
            if item.name:
                self.files.delete(item.key)
            else:
                self.files.delete_folder(item.key)
        return found

    def write(self, key: str, values: dict[str, Any]) -> None:
        """Put a record down, as indented JSON: records are read by people too."""
        self.check()
        text = json.dumps(values, indent=1, ensure_ascii=False) + "\n"
        self.files.write(key, text.encode())
