"""Failures: what is done about each class of failure (`RETRY_POLICIES`), and when failures end a sweep.

A retry resumes from the trial's last checkpoint. `retries` in the search space limits the retries of one command;
the next call of the same command tries unfinished trials again.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from orchestrator.redaction import redacted
from orchestrator.spec.blocks import Retries
from orchestrator.store.attempt_record import AttemptRecord, ErrorRecord, State

__all__ = ["DISK_ERROR", "RETRY_POLICIES", "ConsecutiveFailures", "RetryHistory", "RetryPolicy", "sign"]


DISK_ERROR = "DiskError"
"""Kind of error of a trial that was lost because a disk is full, used up by quota, read-only or failing."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RetryPolicy:
    """What is done about one class of failure."""

    cause: str
    action: str
    retries: str | None = None
    """Key of `retries` that limits the retries; None: no retry."""
    larger_share: bool = False
    """Retry with twice the share of a GPU, up to a whole one; no retry when the trial had a whole GPU."""
    other_node: bool = False
    """Retry on another node where there is one, after a back-off that doubles each time."""
    systematic: bool = False
    """Other trials are likely to fail in the same way: counts for `max_consecutive_failures`."""


RETRY_POLICIES: Mapping[State, RetryPolicy] = {
    State.OUT_OF_MEMORY: RetryPolicy(
        cause="the memory of the device, or of the trial's share of it, was too small",
        action="retry with twice the share, up to the whole GPU; trials of the same shape get it too",
        retries="out_of_memory",
        larger_share=True,
    ),
    State.LOST: RetryPolicy(
        cause="the process or its node died, or a disk was full",
        action="retry from the last checkpoint after a pause, on another node where there is one",
        retries="lost",
        other_node=True,
    ),
    State.DIVERGED: RetryPolicy(cause="the loss became NaN or infinite", action="no retry", systematic=True),
    State.TIMED_OUT: RetryPolicy(
        cause="the attempt took longer than budget.trial_hours",
        action="no retry unless retries.timed_out allows it; then from the last checkpoint",
        retries="timed_out",
    ),
    State.USER_ERROR: RetryPolicy(cause="the trial raised an exception", action="no retry", systematic=True),
    State.DATA_ERROR: RetryPolicy(cause="the data could not be read", action="no retry", systematic=True),
    State.STOPPED: RetryPolicy(cause="a scheduler stopped the trial early", action="kept as stopped, never a result"),
    State.CANCELLED: RetryPolicy(
        cause="Ctrl-C, a budget that was used up, or too many consecutive failures",
        action="the next call of the command resumes from the last checkpoint",
    ),
    State.DAMAGED: RetryPolicy(
        cause="the record of a finished attempt is not what was written, so its figures are not used",
        action="the next call of the command resumes from the last checkpoint and writes a new record",
    ),
}

FRAME = re.compile(r'^  File "(?:.*[/\\])?([^/\\"]+)", line \d+, in (\S+)', re.MULTILINE)
LAST_FRAMES = 6


def sign(error: ErrorRecord) -> ErrorRecord:
    """The error without secrets and with its signature, which is the same for the same bug in two trials.

    The signature is eight hexadecimal digits of a hash of the exception's class and the last frames. A frame counts
    with the base name of its file and its function; line numbers and the message do not count.
    """
    frames = [f"{file}:{function}" for file, function in FRAME.findall(error.traceback)][-LAST_FRAMES:]
    digest = hashlib.sha256("\n".join([error.kind, *frames]).encode()).hexdigest()
    return replace(error, message=redacted(error.message), traceback=redacted(error.traceback), signature=digest[:8])


@dataclass(slots=True)
class RetryHistory:
    """Failed attempts of this command at one trial."""

    failures: dict[State, int] = field(default_factory=dict)
    lost_nodes: tuple[str, ...] = ()
    """Ids of the nodes on which the trial was lost."""

    def add(self, record: AttemptRecord, retries: Retries) -> float | None:
        """Count a failure; returns the back-off before the next attempt in seconds, None when there is none."""
        policy = RETRY_POLICIES.get(record.state)
        if policy is None or policy.retries is None:
            return None
        count = self.failures[record.state] = self.failures.get(record.state, 0) + 1
        if count > getattr(retries, policy.retries):
            return None
        if not policy.other_node:
            return 0.0
        if node := record.environment.get("node"):
            self.lost_nodes = tuple(dict.fromkeys([*self.lost_nodes, node]))
        return float(retries.back_off_seconds * 2 ** (count - 1))


class ConsecutiveFailures:
    """Counts consecutive failures with one signature: a bug that breaks 3 trials will break 50."""

    def __init__(self, limit: int) -> None:
        """`limit` failures end the sweep; 0 for no limit."""
        self.limit = limit
        self.count = 0
        self.signature = ""

    def add(self, record: AttemptRecord) -> str:
        """Count an attempt that ended; returns why the sweep must end, empty below the limit.

        A finished trial resets the count; a lost or a stopped one leaves it as it is.
        """
        if record.state is State.DONE:
            self.count = 0
        elif RETRY_POLICIES[record.state].systematic and record.error is not None:
            repeated = record.error.signature == self.signature
            self.signature = record.error.signature
            self.count = self.count + 1 if repeated else 1
        if not 0 < self.limit <= self.count:
            return ""
        return (
            f"max_consecutive_failures: {self.count} consecutive trials failed at the same place "
            f"(signature {self.signature}); fix it and run the same command again"
        )
