"""RecordStore: the one writer of a run directory, and so what decides which trials are done."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

from orchestrator.errors import DamagedError, StoreError
from orchestrator.machine.sealed_json import seal
from orchestrator.store.attempt_record import AttemptRecord, ErrorRecord, Point, State
from orchestrator.store.backends import LocalFiles, location
from orchestrator.store.cleanup import Leftover, unneeded_files, unreferenced_trials
from orchestrator.store.kept_plans import KeptPlan, plan_key
from orchestrator.store.keys import WORK, sweep_key, trial_key
from orchestrator.store.lease import Lease, LeaseTimings
from orchestrator.store.lock import lock_run_directory
from orchestrator.store.parquet_cache import CachedAttempt, pack, read_cache
from orchestrator.store.point_log import AppendedPoints, ChunkedPoints
from orchestrator.store.record_files import ATTEMPT_FILE, StoredAttempt, attempt_name
from orchestrator.store.run_directory import POINT_FILE, RunDirectory
from orchestrator.store.sweep_record import SweepRecord
from orchestrator.store.sweep_results import SweepResults

__all__ = ["RecordStore"]

LOCK = "lock"
"""In the folder of a trial of the built-in trainer, which nobody trains any more once it is done."""


class RecordStore(RunDirectory):
    """A run directory that is also written, by the driver alone. Anybody may read it at any time.

    A record is written whole or not at all, and never before the points that it sums up. Every method that writes
    raises StoreError when it cannot, or when this driver was suspended so long that another one took over.
    """

    def __init__(self, location: Path | str, *, lease_timings: LeaseTimings | None = None) -> None:
        """`lease_timings` matter for object stores and shared mounts."""
        super().__init__(location)
        self.lease_timings = lease_timings
        self.lease: Lease | None = None
        self.locked = False
        self.point_log: AppendedPoints | ChunkedPoints
        if isinstance(self.files, LocalFiles):
            self.point_log = AppendedPoints(self.files)
        else:
            self.point_log = ChunkedPoints(self.files, self.check)

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Lock the run directory for this driver; a dead driver's lock ends at once, or within 25 seconds.

        Raises StoreError when another driver is alive, with its process, or when nothing can be written here.
        """
        with lock_run_directory(self.files, self.lease_timings) as lease:
            self.lease, self.locked = lease, True
            try:
                yield
            finally:
                try:
                    self.point_log.close()
                finally:
                    self.lease, self.locked = None, False

    def check(self) -> None:
        """Raise StoreError when another driver has taken over."""
        if self.lease is not None:
            self.lease.check()

    @property
    def taken_over(self) -> str:
        """Why this driver may not write any more, because another one has taken over; empty while it may."""
        with suppress(StoreError):  # also while the store cannot be reached
            self.check()
        return "" if self.lease is None else self.lease.lost

    def write_sweep(self, sweep: SweepRecord) -> None:
        """Write the plan of a sweep, before any of its trials runs."""
        self.write(sweep_key(sweep.name), sweep.to_json())

    def keep_plan(self, name: str, known: Mapping[str, AttemptRecord] | None = None) -> KeptPlan | None:
        """Keep the plan of the sweep `name` with the attempts that count now; returns the newest kept plan.

        Does nothing when the newest kept plan shows the same, or when there is no intact plan (None). `known` are
        outcomes that need not be read again.
        """
        try:
            plan = self.plan_file(name) if self.files.read(sweep_key(name)) is not None else None
        except DamagedError:
            plan = None
        if plan is None:
            return None
        sweep = plan.record
        outcomes = {key: record for key, record in (known or {}).items() if sweep.accepts_code(key, record.code)}
        outcomes |= self.outcomes([key for key in sweep.trial_ids if key not in outcomes], plan=sweep)
        results = SweepResults(sweep=sweep, outcomes=outcomes)
        begun = self.files.map(self.last_begun, results.unfinished)
        numbers = self.kept_numbers(name)
        kept = KeptPlan(
            number=numbers[-1] + 1 if numbers else 1,
            kept_at=time.time(),
            sweep=sweep,
            attempts={key: outcomes[key].attempt for key in sweep.trial_ids if key in outcomes},
            begun={key: attempt for key, attempt in zip(results.unfinished, begun, strict=True) if attempt},
            done=len(sweep.trial_ids) - len(results.unfinished),
            verified=plan.verified,
        )
        if numbers and (newest := self.kept_plan(name, numbers[-1])).shows_the_same(kept):
            return newest
        self.write(plan_key(name, kept.number), kept.to_json())
        return kept

    def last_begun(self, trial_id: str) -> int:
        """The last attempt at a trial that has points; 0 without any."""
        return max((point.attempt for point in self.points(trial_id)), default=0)

    def forget_plans(self, keys: Iterable[str]) -> None:
        """Delete kept plans (`cleanup.forgettable_plans`), with the run directory locked."""
        with nullcontext() if self.locked else self.lock():
            for key in keys:
                self.check()
                self.files.delete(key)

    @property
    def address(self) -> str:
        """Where a process with another current folder finds the run directory: an absolute path, or a URL."""
        text = location(self.location)
        return text if "://" in text else str(Path(text).resolve())

    def workdir(self, trial_id: str, *, work: bool = False) -> Path:
        """Folder in which a trial works; absolute, because workers have another current folder.

        `work`: it is a folder of its own in that of the trial (`orchestrator.store.work_folder`). In an object store it
        is a folder of the worker's machine, and checkpoints are copied.
        """
        folder = self.trial_folder(trial_id).resolve()
        return folder / WORK if work else folder

    def next_attempt(self, trial_id: str) -> int:
        """Number of a new attempt at a trial. For a trial that never started this only lists its folder.

        An attempt that started and has no record, because its driver was killed, first gets one: it is lost.
        """
        names = self.files.names(trial_key(trial_id))
        last_ended = max((int(match[1]) for match in map(ATTEMPT_FILE.fullmatch, names) if match), default=0)
        if not any(map(POINT_FILE.fullmatch, names)):
            return last_ended + 1
        times: dict[int, list[float]] = {}
        for point in self.points(trial_id):
            times.setdefault(point.attempt, []).append(point.time)
        for attempt in sorted(number for number in times if number > last_ended):
            error = ErrorRecord(kind="DriverLost", message="the driver ended before the attempt did")
            self.end(
                AttemptRecord(
                    trial_id=trial_id,
                    attempt=attempt,
                    state=State.LOST,
                    started_at=times[attempt][0],
                    ended_at=times[attempt][-1],
                    error=error,
                )
            )
            last_ended = attempt
        return last_ended + 1

    def start(
        self,
        trial_id: str,
        attempt: int,
        config: dict[str, Any],
        time: float,
        facts: Mapping[str, Any] | None = None,
        *,
        resumes_code: Callable[[str], bool] = lambda _: True,
    ) -> None:
        """Record that an attempt has started at `time` (seconds since the epoch), as an empty first point.

        The first attempt also records `config` and `facts`: what the trial's id is a function of, the sweep and row
        that it was first run for, and `code`, the digest of the trainer's code. An attempt with other code replaces
        `code`; unless `resumes_code` is true of the code before, it starts from step 0, and earlier points are set
        aside.
        """
        known = self.readable_facts(trial_id)
        before, facts = known.get("code", ""), facts or {}
        code = facts.get("code", before)
        if not known:
            self.write(trial_key(trial_id, "trial.json"), {"trial_id": trial_id, "config": config, **facts})
        elif code != before:
            if not resumes_code(before):
                self.set_points_aside(trial_id, attempt)
            self.write(trial_key(trial_id, "trial.json"), {**known, "code": code})
        self.append(trial_id, Point(step=0, metrics={}, time=time, attempt=attempt))

    def readable_facts(self, trial_id: str) -> dict[str, Any]:
        """`trial_facts`; empty for a damaged file, which the next attempt writes again."""
        try:
            return self.trial_facts(trial_id)
        except DamagedError:
            return {}

    def set_points_aside(self, trial_id: str, attempt: int) -> None:
        """Rename the files of a trial's points, so that those of `attempt` and later ones are its curves."""
        self.check()
        for name in self.files.names(trial_key(trial_id)):
            if POINT_FILE.fullmatch(name) and (content := self.files.read(trial_key(trial_id, name))) is not None:
                self.files.write(trial_key(trial_id, f"before_{attempt:03d}_{name}"), content)
                self.files.delete(trial_key(trial_id, name))

    def append(self, trial_id: str, point: Point) -> None:
        """Add a point to a trial's curves. It survives the driver's death; in an object store after a few seconds."""
        self.check()
        self.point_log.append(trial_id, point)

    def end(self, record: AttemptRecord) -> None:
        """Record how an attempt ended; the record and all points of the attempt are durable when this returns."""
        self.check()
        self.point_log.flush(record.trial_id)
        self.write(trial_key(record.trial_id, attempt_name(record.attempt)), record.to_json())
        if record.state is State.DONE and not self.files.remote:
            with suppress(StoreError):  # nothing needs it gone
                self.files.delete(trial_key(record.trial_id, LOCK))

    def compact(self, sweep_name: str) -> int:
        """Write the finished trials of a sweep to its Parquet cache; returns their number.

        It is only a cache (`orchestrator.store.parquet_cache`): the records stay, and are read instead of a cache that
        is damaged, out of date or missing. On a disk, only records that the cache lacks are read, and it is written
        only if it changes.
        """
        keys = self.attempt_keys(self.sweep(sweep_name).trial_ids)
        every_key = [key for its_keys in keys.values() for key in its_keys]
        # before the contents are read, so that the stamp of a record that changes in between does not match
        stamps = dict(zip(every_key, self.files.stamps(every_key), strict=True))
        present = {trial_id: {key: stamps[key] or "" for key in its_keys} for trial_id, its_keys in keys.items()}
        cached = None if self.files.remote else read_cache(self.files, sweep_name)
        known = {} if cached is None else cached.stamps
        kept = {trial_id for trial_id, found in known.items() if present.get(trial_id) == found}
        read = self.stored_attempts({trial_id: its_keys for trial_id, its_keys in keys.items() if trial_id not in kept})
        fresh = {trial_id: cacheable(stored, present[trial_id]) for trial_id, stored in read.items()}
        if cached is not None and len(kept) == len(known) and not any(fresh.values()):
            return len(kept)
        earlier: dict[str, list[CachedAttempt]] = {}
        for row in () if cached is None else cached.rows():
            earlier.setdefault(row.stored.record.trial_id, []).append(row)
        rows = [row for trial_id in keys for row in (earlier[trial_id] if trial_id in kept else fresh[trial_id])]
        self.check()
        self.files.write(sweep_key(sweep_name, "records.parquet"), pack(rows))
        return sum(row.counts for row in rows)

    def clean(self, trial_ids: Iterable[str]) -> list[Leftover]:
        """Delete those of these trials that no sweep refers to; returns what was deleted.

        Locks the run directory unless this driver has, and checks again: a sweep may have been planned since the user
        saw the list.
        """
        chosen = set(trial_ids)
        return self.remove(lambda: [item for item in unreferenced_trials(self) if item.trial_id in chosen])

    def prune(self, trial_ids: Iterable[str], keep_checkpoints: str = "all") -> list[Leftover]:
        """Delete the files that finished trials do not need (`cleanup.unneeded_files`); returns what was deleted."""
        return self.remove(lambda: unneeded_files(self, trial_ids, keep_checkpoints))

    def remove(self, find: Callable[[], list[Leftover]]) -> list[Leftover]:
        """Delete what `find` returns, with the run directory locked."""
        with nullcontext() if self.locked else self.lock():
            found = find()
            for item in found:
                self.check()
                if item.name:
                    self.files.delete(item.key)
                else:
                    self.files.delete_folder(item.key)
            return found

    def write(self, key: str, values: dict[str, Any]) -> None:
        """Write a record with its digest."""
        self.check()
        self.files.write(key, seal(values))

    def write_as_it_is(self, key: str, content: bytes) -> None:
        """Write a file that another run directory has had, after it was verified."""
        self.check()
        self.files.write(key, content)


def cacheable(attempts: Sequence[StoredAttempt], stamps: Mapping[str, str]) -> list[CachedAttempt]:
    """The attempts at a trial as rows of a cache; none unless exactly one is done."""
    done = [item for item in attempts if item.record.state is State.DONE]  # of several, the plan decides which counts
    if len(done) != 1 or any(item.damaged for item in attempts):
        return []
    return [CachedAttempt(item, stamps[item.key], item is done[0]) for item in attempts]
