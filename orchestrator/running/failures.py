"""Failures: how an attempt can end other than well, and what is then done; `POLICIES` is the whole of it.

A retry goes on from the trial's last checkpoint. How often is `retries` in the search space; whatever is left
unfinished is tried again by the next call of the same command.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from orchestrator.store.records import AttemptRecord, ErrorRecord, State

__all__ = ["POLICIES", "FailureStreak", "Policy", "classify", "sign"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Policy:
    """What is done about one class of failure."""

    cause: str
    answer: str
    retries: str | None = None
    """Key of `retries` that says how often it is tried again; None: not at all."""
    larger_share: bool = False
    """Again with twice the share of a GPU, up to the whole of it; where that is not possible, not at all."""
    elsewhere: bool = False
    """Again on another node where there is one, after a pause that doubles each time."""
    repeats: bool = False
    """Will fail alike in other trials: counts for `max_consecutive_failures`."""


POLICIES: Mapping[State, Policy] = {
    State.OUT_OF_MEMORY: Policy(
        cause="the memory of the device, or of a trial's share of it, did not suffice",
        answer="again with twice the share, up to the whole GPU; trials of the same shape get it too",
        retries="out_of_memory",
        larger_share=True,
    ),
    State.LOST: Policy(
        cause="the process or its node died",
        answer="again from the last checkpoint, on another node where there is one, after a pause",
        retries="lost",
        elsewhere=True,
    ),
    State.DIVERGED: Policy(cause="the loss was no number any more", answer="not again", repeats=True),
    State.TIMED_OUT: Policy(
        cause="the attempt took longer than budget.trial_hours",
        answer="not again, unless retries.timed_out says so; then from the last checkpoint",
        retries="timed_out",
    ),
    State.USER_ERROR: Policy(cause="the trial raised an exception", answer="not again", repeats=True),
    State.DATA_ERROR: Policy(cause="an image or label could not be read", answer="not again", repeats=True),
    State.STOPPED: Policy(cause="a scheduler gave up on the trial", answer="kept as stopped, never a result"),
    State.CANCELLED: Policy(
        cause="Ctrl-C, a spent budget, or too many failures in a row",
        answer="the next call of the command goes on from the last checkpoint",
    ),
}

CLASSES: Mapping[str, State] = {
    "OutOfMemoryError": State.OUT_OF_MEMORY,  # torch's
    "MemoryError": State.OUT_OF_MEMORY,
    "DivergedError": State.DIVERGED,
    "DataError": State.DATA_ERROR,
    "RankLostError": State.LOST,
    "DeviceBusyError": State.LOST,  # again after a pause, elsewhere where possible
}
"""Exception class -> failure class, subclasses included; by name, so that nothing heavy is imported to classify.
Whatever is not here is a user error."""

FRAME = re.compile(r'^  File "(?:.*[/\\])?([^/\\"]+)", line \d+, in (\S+)', re.MULTILINE)
LAST_FRAMES = 6


def classify(failure: BaseException) -> State:
    """The failure class of an exception that a trial raised."""
    names = [ancestor.__name__ for ancestor in type(failure).__mro__]
    return next((CLASSES[name] for name in names if name in CLASSES), State.USER_ERROR)


def sign(error: ErrorRecord) -> ErrorRecord:
    """The error with its signature: eight hexadecimal digits of the exception's kind and the functions it came through.

    Neither line numbers nor the message count: the same bug in two trials has the same signature.
    """
    frames = [f"{file}:{function}" for file, function in FRAME.findall(error.traceback)][-LAST_FRAMES:]
    digest = hashlib.sha256("\n".join([error.kind, *frames]).encode()).hexdigest()
    return replace(error, signature=digest[:8])


class FailureStreak:
    """Counts failures at the same place in a row: a bug in the code fails 50 trials as well as 3 (issue 4)."""

    def __init__(self, limit: int) -> None:
        """`limit` failures end the sweep; 0 for never."""
        self.limit = limit
        self.count = 0
        self.signature = ""

    def note(self, record: AttemptRecord) -> None:
        """An attempt ended. A finished trial ends the streak, a lost process or a stopped trial says nothing."""
        if record.state is State.DONE:
            self.count = 0
        elif POLICIES[record.state].repeats and record.error is not None:
            alike = record.error.signature == self.signature
            self.signature = record.error.signature
            self.count = self.count + 1 if alike else 1

    @property
    def broken(self) -> bool:
        """Whether the limit is reached."""
        return 0 < self.limit <= self.count
