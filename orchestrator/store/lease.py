"""Lease: one driver at a time where file locks do not reach: in object stores, and on mounts of several machines.

    <run_dir>/driver.lease/000007     the holder, and how often it has renewed the lease

A driver acquires the lease by creating the file with the next number, which only one of several drivers can do, and
rewrites its file every five seconds. Another driver watches: a renewal proves that the holder is alive. Without a
renewal for 25 seconds of the watcher's own clock (clocks are never compared), or if the holder is a dead process of the
same machine, the watcher creates the next number. A driver that was suspended so long checks the lease before its next
write, finds the higher number, and stops.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from orchestrator.errors import StoreError
from orchestrator.store.backends import Files
from orchestrator.store.lock_owner import Owner

__all__ = ["Lease", "LeaseTimings", "held_message"]

FOLDER = "driver.lease"

logger = logging.getLogger(__name__)


def seconds_with_suspend() -> float:
    """A clock that also runs while the machine is suspended, where the system has one."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


@dataclass(frozen=True, kw_only=True, slots=True)
class LeaseTimings:
    """Intervals of a lease, and its clock, which tests replace."""

    renew_seconds: float = 5.0
    """Between two renewals."""
    dead_seconds: float = 25.0
    """Without a renewal for this long, the holder counts as dead."""
    settle_seconds: float = 1.0
    """Before a new holder trusts its own file: a store without conditional writes lets two drivers create it."""
    clock: Callable[[], float] = seconds_with_suspend
    sleep: Callable[[float], None] = time.sleep


@dataclass(frozen=True, slots=True)
class LeaseFile:
    """The newest file of the lease, as it was read."""

    number: int
    content: bytes
    """A file that cannot be parsed counts as a living holder until it was not renewed for long enough."""

    @property
    def owner(self) -> Owner | None:
        """Who wrote it."""
        return Owner.from_text(self.content)


@dataclass
class Lease:
    """The lease of this process on a run directory."""

    files: Files
    timings: LeaseTimings = field(default_factory=LeaseTimings)
    owner: Owner = field(default_factory=Owner.here)
    number: int = 0
    """Of our file; 0 before `acquire`."""
    renewals: int = 0
    renewed_at: float = 0.0
    lost: str = ""
    """Why the lease is lost for good."""
    ended: threading.Event = field(default_factory=threading.Event)
    busy: threading.Lock = field(default_factory=threading.Lock)
    """Held by the renewing thread and by `check` while they use the lease."""

    def acquire(self) -> None:
        """Acquire the lease and keep renewing it; watches a silent holder for `dead_seconds` first.

        Raises StoreError, with the holder, as soon as that one proves to be alive.
        """
        while True:
            found = self.newest()
            if found is not None and not self.is_dead(found):
                raise StoreError(held_message(self.files.name, found.owner))
            number = 1 if found is None else found.number + 1
            started = self.timings.clock()
            if not self.files.create(key_of(number), self.content()):
                continue
            self.timings.sleep(self.timings.settle_seconds)
            created = self.newest()
            if created is not None and self.is_ours(created):
                break
        self.number, self.renewed_at = number, started
        for old in self.numbers():
            if old < number:
                self.files.delete(key_of(old))
        threading.Thread(target=self.keep_renewing, name="lease", daemon=True).start()

    def check(self) -> None:
        """Before a write: raise StoreError unless this process certainly holds the lease.

        It does if it renewed the lease recently; otherwise the store tells whether another driver has taken over.
        """
        with self.busy:
            if not self.lost and self.timings.clock() - self.renewed_at > self.timings.dead_seconds / 2:
                self.renew()
        if self.lost:
            raise StoreError(self.lost)

    def release(self) -> None:
        """Release the lease, so that the next driver need not wait. With an unreachable store it expires instead."""
        self.ended.set()
        with self.busy:
            if not self.lost:
                try:
                    self.files.delete(key_of(self.number))
                except StoreError as error:
                    logger.warning("%s; the next driver will wait %.0f s", error, self.timings.dead_seconds)
                self.lost = f"{self.files.name}: released"

    def keep_renewing(self) -> None:
        """Renew until the release; if the store cannot be reached, try again at the next renewal."""
        while not self.ended.wait(self.timings.renew_seconds):
            with self.busy:
                if self.lost:
                    return
                try:
                    self.renew()
                except StoreError as error:
                    logger.debug("lease not renewed: %s", error)

    def renew(self) -> None:
        """Write the next renewal, or note that the lease is lost. Raises StoreError when the store is unreachable."""
        started = self.timings.clock()
        found = self.newest()
        if found is None or not self.is_ours(found):
            new_owner = "" if found is None or found.owner is None else f" to {found.owner.describe()}"
            self.lost = (
                f"{self.files.name}: this driver did not renew its lease in time and lost it{new_owner}; it writes "
                "nothing more, run the same command again when the other sweep is done"
            )
            return
        self.renewals += 1
        self.files.write(key_of(self.number), self.content())
        self.renewed_at = started

    def is_dead(self, found: LeaseFile) -> bool:
        """Whether the holder is dead: known at once for a process of this machine, else after watching the lease."""
        if found.owner is not None and found.owner.alive() is False:
            return True
        since = self.timings.clock()
        warned = False
        while (waited := self.timings.clock() - since) < self.timings.dead_seconds:
            if waited > 1.5 * self.timings.renew_seconds and not warned:
                who = "unknown" if found.owner is None else found.owner.describe()
                logger.warning(
                    "%s: locked by a sweep that does not renew its lease (%s); waiting up to %.0f s until it counts "
                    "as dead",
                    self.files.name,
                    who,
                    self.timings.dead_seconds - waited,
                )
                warned = True
            self.timings.sleep(self.timings.renew_seconds / 5)
            now = self.newest()
            if now is None:
                return True
            if now != found:
                return False
        return True

    def newest(self) -> LeaseFile | None:
        """The file with the highest number; None when nobody holds the run directory."""
        for number in sorted(self.numbers(), reverse=True):
            content = self.files.read(key_of(number))
            if content is not None:  # None: released since it was listed
                return LeaseFile(number, content)
        return None

    def numbers(self) -> list[int]:
        """Numbers of the existing files."""
        return [int(name) for name in self.files.names(FOLDER) if name.isdecimal()]

    def is_ours(self, file: LeaseFile) -> bool:
        """Whether this lease wrote it."""
        return file.owner is not None and file.owner.nonce == self.owner.nonce

    def content(self) -> bytes:
        """Content of our file, different at each renewal."""
        return json.dumps({**json.loads(self.owner.to_text()), "renewals": self.renewals}).encode()


def key_of(number: int) -> str:
    """File of the lease with this number."""
    return f"{FOLDER}/{number:06d}"


def held_message(name: str, owner: Owner | None) -> str:
    """The error of a second driver: who holds the run directory, and what to do."""
    who = "process unknown" if owner is None else owner.describe()
    return (
        f"{name}: another sweep is writing here ({who}); wait for it, stop it there, or give this one its own --run-dir"
    )
