"""Lease: one driver at a time where the system's file locks do not reach: object stores, and mounts between machines.

    <run_dir>/driver.lease/000007     who holds it and how often they renewed it

A driver takes hold by creating the next number, which only one of several can, and renews its file every five
seconds. Another one looks on: a renewal that it sees proves the holder alive; none in 25 seconds of its own clock
(no two clocks are compared), or a dead process on the same machine, and it takes the next number. A driver that was
suspended so long asks again before its next write, finds the higher number and stops.
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

__all__ = ["Lease", "Patience", "held_message"]

FOLDER = "driver.lease"

logger = logging.getLogger(__name__)


def awake_seconds() -> float:
    """A clock that also runs while the machine sleeps, where the system has one."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


@dataclass(frozen=True, kw_only=True, slots=True)
class Patience:
    """How long things take, in seconds; and the clock, for tests."""

    renew: float = 5.0
    """Between two renewals."""
    dead: float = 25.0
    """Without a renewal the holder counts as dead."""
    settle: float = 1.0
    """After taking hold, before believing it: a store without conditional writes lets two create the same file."""
    clock: Callable[[], float] = awake_seconds
    sleep: Callable[[float], None] = time.sleep


@dataclass(frozen=True, slots=True)
class Claim:
    """The newest file of the lease as it was read."""

    number: int
    content: bytes
    """Empty for a file that cannot be understood; it counts as a holder all the same, until it proves dead."""

    @property
    def owner(self) -> Owner | None:
        """Who wrote it."""
        return Owner.from_text(self.content)


@dataclass
class Lease:
    """The hold of this process on a run directory."""

    files: Files
    patience: Patience = field(default_factory=Patience)
    owner: Owner = field(default_factory=Owner.here)
    number: int = 0
    """Of the file that is ours; 0 before `take`."""
    renewals: int = 0
    renewed_at: float = 0.0
    lost: str = ""
    """Why the hold is gone for ever."""
    ended: threading.Event = field(default_factory=threading.Event)
    busy: threading.Lock = field(default_factory=threading.Lock)
    """Held while the lease is looked at: by the thread that renews, and by a check."""

    def take(self) -> None:
        """Take hold, if need be after watching a silent holder for `patience.dead` seconds, and keep renewing.

        Raises StoreError, naming the holder, as soon as that one shows to be alive.
        """
        while True:
            found = self.newest()
            if found is not None and not self.is_dead(found):
                raise StoreError(held_message(self.files.name, found.owner))
            number = 1 if found is None else found.number + 1
            started = self.patience.clock()
            if not self.files.create(key_of(number), self.content()):
                continue
            self.patience.sleep(self.patience.settle)
            taken = self.newest()
            if taken is not None and self.is_ours(taken):
                break
        self.number, self.renewed_at = number, started
        for old in self.numbers():
            if old < number:
                self.files.delete(key_of(old))
        threading.Thread(target=self.keep_renewing, name="lease", daemon=True).start()

    def check(self) -> None:
        """Before a write: raise StoreError unless the hold is certain.

        It is when it was renewed lately; else the store is asked, which says so if another driver has taken over.
        """
        with self.busy:
            if not self.lost and self.patience.clock() - self.renewed_at > self.patience.dead / 2:
                self.renew()
        if self.lost:
            raise StoreError(self.lost)

    def release(self) -> None:
        """Let go: the next driver need not wait. An unreachable store keeps the file, which then goes stale."""
        self.ended.set()
        with self.busy:
            if not self.lost:
                try:
                    self.files.delete(key_of(self.number))
                except StoreError as error:
                    logger.warning("%s; the next driver will wait %.0f s", error, self.patience.dead)
                self.lost = f"{self.files.name}: released"

    def keep_renewing(self) -> None:
        """Renew until the end; a store that cannot be reached now is tried again."""
        while not self.ended.wait(self.patience.renew):
            with self.busy:
                if self.lost:
                    return
                try:
                    self.renew()
                except StoreError as error:
                    logger.debug("lease not renewed: %s", error)

    def renew(self) -> None:
        """Write the next renewal, or note that the hold is lost. Raises StoreError when the store is out of reach."""
        started = self.patience.clock()
        found = self.newest()
        if found is None or not self.is_ours(found):
            to_whom = "" if found is None or found.owner is None else f" to {found.owner.describe()}"
            self.lost = (
                f"{self.files.name}: this driver gave no sign for too long and lost its hold{to_whom}; nothing more is "
                "written, run the same command again when the other one is done"
            )
            return
        self.renewals += 1
        self.files.write(key_of(self.number), self.content())
        self.renewed_at = started

    def is_dead(self, found: Claim) -> bool:
        """Whether the holder is: at once where its process can be seen, else after looking on for a while."""
        if found.owner is not None and found.owner.alive() is False:
            return True
        since = self.patience.clock()
        told = False
        while (waited := self.patience.clock() - since) < self.patience.dead:
            if waited > 1.5 * self.patience.renew and not told:
                who = "unknown" if found.owner is None else found.owner.describe()
                logger.warning(
                    "%s: held by a sweep that gives no sign (%s); waiting up to %.0f s to be sure that it is dead",
                    self.files.name,
                    who,
                    self.patience.dead - waited,
                )
                told = True
            self.patience.sleep(self.patience.renew / 5)
            now = self.newest()
            if now is None:
                return True
            if now != found:
                return False
        return True

    def newest(self) -> Claim | None:
        """The file with the highest number; None when nobody holds the run directory."""
        for number in sorted(self.numbers(), reverse=True):
            content = self.files.read(key_of(number))
            if content is not None:  # released between the two looks
                return Claim(number, content)
        return None

    def numbers(self) -> list[int]:
        """Numbers of the files there are."""
        return [int(name) for name in self.files.names(FOLDER) if name.isdecimal()]

    def is_ours(self, claim: Claim) -> bool:
        """Whether this hold wrote it."""
        return claim.owner is not None and claim.owner.nonce == self.owner.nonce

    def content(self) -> bytes:
        """What our file says; no two renewals alike."""
        return json.dumps({**json.loads(self.owner.to_text()), "renewals": self.renewals}).encode()


def key_of(number: int) -> str:
    """File of the lease with this number."""
    return f"{FOLDER}/{number:06d}"


def held_message(name: str, owner: Owner | None) -> str:
    """The line for a second driver: who holds the run directory, and what to do."""
    who = "process unknown" if owner is None else owner.describe()
    return (
        f"{name}: another sweep is writing here ({who}); wait for it, stop it there, or give this one its own --run-dir"
    )
