"""Background: the mirror of a sweep, driven by one thread, so that neither driver nor training waits for a server.

What is to be written waits in memory, a bounded number of points; beyond that, and whenever the server is slow, refuses
or is down, a trial is only noted as behind: the record store has its points, and the thread reads them there when it
gets through again. So nothing is lost while the store is there, and an outage costs no memory.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from orchestrator.errors import AccessError, OutageError, TrackingError
from orchestrator.running.task import Task
from orchestrator.store.records import AttemptRecord, Point, SweepRecord

__all__ = ["Background", "Mirroring", "Patience"]


class Mirroring(Protocol):
    """What the thread drives: a `Mirror`, in a process of its own (`orchestrator.tracking.apart`) or in this one."""

    def begin(self, sweep: SweepRecord, outcomes: Mapping[str, AttemptRecord], running: set[str]) -> list[str]:
        """Look at what is there; returns the ended trials of which something is missing."""

    def planned(self, sweep: SweepRecord) -> None:
        """A search added to the plan."""

    def deliver(self, trial_id: str, record: AttemptRecord | None, points: list[Point] | None) -> None:
        """Bring a trial up to these points, or to all that the store has, and to its end if there is one."""

    def refresh(self, outcomes: Mapping[str, AttemptRecord], running: set[str]) -> None:
        """What is shown of the sweep as a whole while it runs."""

    def finish(self, outcomes: Mapping[str, AttemptRecord], artifacts: Mapping[str, Path], completed: bool) -> None:
        """The sweep is over."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Patience:
    """How long for what, in seconds."""

    pause: float = 1.0
    """From one round of writing to the next: several reports of a trial travel in one request."""
    first_retry: float = 1.0
    """After a failure; each further one waits twice as long."""
    last_retry: float = 15.0
    """At most so long, and at the end of the sweep no longer than `closing_retry`."""
    closing_retry: float = 2.0
    outage: float = 60.0
    """At the end of the sweep: when nothing has got through for so long, the rest is left to `sync`."""
    end: float = 600.0
    """At the end of the sweep: after so long the rest is left to `sync`, however well it goes."""
    admission: float = 20.0
    """Before the first trial: so long the first contact may take; after it the sweep starts without."""


@dataclass(slots=True)
class News:
    """What a trial has brought since it was last delivered."""

    points: list[Point] | None = field(default_factory=list)
    """None: behind; the store has them."""
    record: AttemptRecord | None = None


class Background:
    """The tracker that keeps the mirror `connect` returns; it never raises and never waits, except where it says so.

    `failure` is why the mirror lacks something at present, None while all is well.
    """

    CAPACITY = 20_000
    """Points that wait in memory, at most."""
    STRIKES = 3
    """A trial that the server refuses so often, though others get through, is left out."""

    def __init__(self, connect: Callable[[], Mirroring], patience: Patience | None = None) -> None:
        """`connect` is called in the thread, at once and after every failure; it raises TrackingError."""
        self.patience = patience or Patience()
        self.failure: Exception | None = None
        self.changed = threading.Condition()
        self.sweep: SweepRecord | None = None
        self.told: SweepRecord | None = None
        """What the mirror knows of the plan."""
        self.outcomes: dict[str, AttemptRecord] = {}
        self.running: set[str] = set()
        self.news: dict[str, News] = {}
        self.waiting_points = 0
        self.ending: tuple[Mapping[str, Path], bool] | None = None
        self.closing = False
        self.abandoned = False
        """Nobody waits any more."""
        self.finished = False
        self.refused: AccessError | None = None
        self.contact = threading.Event()
        self.left_out: dict[str, Exception] = {}
        self.strikes: dict[str, int] = {}
        self.compared = False
        self.failing_since: float | None = None
        self.thread = threading.Thread(target=self.work, args=(connect,), name="tracking", daemon=True)
        self.thread.start()

    # -- what the driver tells

    def begin(self, sweep: SweepRecord, outcomes: Mapping[str, AttemptRecord]) -> None:
        """Note the plan and what earlier runs brought."""
        with self.changed:
            self.sweep, self.outcomes = sweep, dict(outcomes)
            self.changed.notify()

    def planned(self, sweep: SweepRecord) -> None:
        """Note a longer plan."""
        with self.changed:
            self.sweep = sweep

    def started(self, task: Task) -> None:
        """Note the trial."""
        with self.changed:
            self.running.add(task.trial_id)
            self.put(task.trial_id, None)

    def reported(self, task: Task, point: Point) -> None:
        """Note the point."""
        with self.changed:
            self.put(task.trial_id, point)

    def ended(self, task: Task, record: AttemptRecord) -> None:
        """Note the record."""
        with self.changed:
            self.running.discard(task.trial_id)
            self.outcomes[task.trial_id] = record
            self.news.setdefault(task.trial_id, News()).record = record
            self.changed.notify()

    def finish(self, outcomes: Mapping[str, AttemptRecord], artifacts: Mapping[str, Path], completed: bool) -> None:
        """Note the end."""
        with self.changed:
            self.outcomes = dict(outcomes)
            self.ending = (dict(artifacts), completed)
            self.changed.notify()

    def put(self, trial_id: str, point: Point | None) -> None:
        """Add a point to the news; without one, or without room for it, the trial is behind."""
        news = self.news.setdefault(trial_id, News())
        if point is None or self.waiting_points >= self.CAPACITY:
            self.waiting_points -= len(news.points or ())
            news.points = None
        elif news.points is not None:
            news.points.append(point)
            self.waiting_points += 1
        self.changed.notify()

    # -- what the sweep asks

    def admit(self) -> None:
        """Wait, a bounded time, for the first contact. Raises AccessError when the server does not let us in."""
        self.contact.wait(self.patience.admission)
        if self.refused is not None:
            raise self.refused

    def close(self) -> None:
        """Wait until all is written, as long as there is hope (`Patience`); `failure` and `lacking` tell the rest."""
        with self.changed:
            self.closing = True
            self.changed.notify()
        closed_at = time.monotonic()
        while self.thread.is_alive():
            self.thread.join(0.1)
            now, since = time.monotonic(), self.failing_since
            tried_again = now - closed_at > 2 * self.patience.closing_retry
            hopeless = since is not None and now - since > self.patience.outage and tried_again
            if hopeless or now - closed_at > self.patience.end:
                break
        self.abandoned = self.thread.is_alive()
        if self.lacking and self.failure is None:
            self.failure = TrackingError(f"not finished after {time.monotonic() - closed_at:.0f} s")

    @property
    def lacking(self) -> str:
        """What the mirror lacks, in words; empty when it has everything."""
        with self.changed:
            trials = set(self.news) | set(self.left_out)
            if not self.compared:
                trials |= set(self.outcomes)
            parts = [f"{len(trials)} trial{'s' if len(trials) > 1 else ''}"] if trials else []
            if self.sweep is not None and not self.finished:
                parts.append("the final table")
            return " and ".join(parts)

    # -- the thread

    def work(self, connect: Callable[[], Mirroring]) -> None:
        """Write what waits, round after round, until the end or a refusal."""
        mirror: Mirroring | None = None
        retry = self.patience.first_retry
        while not self.abandoned:
            began = time.monotonic()
            try:
                if mirror is None:
                    mirror = self.connected(connect)
                self.write(mirror)
            except AccessError as error:
                self.fail(error)
                if not self.contact.is_set():
                    self.refused = error
                    self.contact.set()
                    return
                mirror = None
            except Exception as error:  # whatever a server, a network or a disk can do
                self.fail(error)
                mirror = None
            else:
                retry = self.patience.first_retry
                self.succeed()
                if self.over:
                    return
                self.rest(self.patience.pause - (time.monotonic() - began), for_news=True)
                continue
            self.contact.set()
            self.rest(min(retry, self.patience.closing_retry) if self.closing else retry)
            retry = min(2 * retry, self.patience.last_retry)

    @property
    def over(self) -> bool:
        """Nothing will come any more, and all that came is written."""
        with self.changed:
            return self.closing and not self.news and (self.ending is None or self.finished)

    def fail(self, error: Exception) -> None:
        """Note that something did not get through."""
        self.failure = error
        self.failing_since = self.failing_since or time.monotonic()

    def succeed(self) -> None:
        """Note that something got through."""
        self.failure = next(iter(self.left_out.values()), None)
        self.failing_since = None

    def connected(self, connect: Callable[[], Mirroring]) -> Mirroring:
        """A mirror that has looked at what is there; trials of which it lacks something become news."""
        mirror = connect()
        self.contact.set()
        with self.changed:
            self.changed.wait_for(lambda: self.sweep is not None or self.closing)
            sweep, outcomes, running = self.sweep, dict(self.outcomes), set(self.running)
        if sweep is None:
            return mirror
        lacking = mirror.begin(sweep, outcomes, running)
        self.told = sweep
        self.compared = True
        with self.changed:
            for trial_id in (*lacking, *sorted(running)):
                self.put(trial_id, None)
                self.news[trial_id].record = None if trial_id in self.running else self.outcomes.get(trial_id)
        return mirror

    def write(self, mirror: Mirroring) -> None:
        """One round: all trials with news by now, the sweep as a whole, and its end once nothing else waits."""
        if self.sweep is None:
            return
        if self.told is not self.sweep:
            self.told = self.sweep
            mirror.planned(self.sweep)
        with self.changed:
            due = list(self.news)
        for trial_id in due:
            news = self.take(trial_id)
            try:
                mirror.deliver(trial_id, news.record, news.points)
            except Exception as error:
                self.put_back(trial_id, news, error)
                raise
            self.strikes.pop(trial_id, None)
            self.succeed()
        with self.changed:
            outcomes, running = dict(self.outcomes), set(self.running)
            ending = None if self.news else self.ending
        if ending is None:
            mirror.refresh(outcomes, running)
        elif not self.finished:
            mirror.finish(outcomes, *ending)
            self.finished = True

    def take(self, trial_id: str) -> News:
        """All that a trial has brought."""
        with self.changed:
            news = self.news.pop(trial_id)
            self.waiting_points -= len(news.points or ())
            return news

    def put_back(self, trial_id: str, news: News, error: Exception) -> None:
        """What could not be written waits, as behind; a trial that fails again and again is left out."""
        with self.changed:
            if not isinstance(error, OutageError):
                self.strikes[trial_id] = self.strikes.get(trial_id, 0) + 1
            if self.strikes.get(trial_id, 0) >= self.STRIKES:
                self.left_out[trial_id] = error
                self.news.pop(trial_id, None)
                return
            newer = self.news.get(trial_id)
            record = newer.record if newer is not None and newer.record is not None else news.record
            self.put(trial_id, None)
            self.news[trial_id].record = record

    def rest(self, seconds: float, *, for_news: bool = False) -> None:
        """Wait so long, and then for news if there are none; the end of the sweep cuts both short."""
        until = time.monotonic() + seconds
        with self.changed:
            while not self.closing and (left := until - time.monotonic()) > 0:
                self.changed.wait(left)
            if self.closing and not for_news:
                self.changed.wait(max(0.0, min(until - time.monotonic(), self.patience.closing_retry)))
            while for_news and not self.closing and not self.news and self.ending is None:
                self.changed.wait()
