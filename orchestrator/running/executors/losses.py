"""Records of attempts that ended without one of their own: the process died, or was killed for its node's memory."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Mapping
from dataclasses import asdict

from orchestrator.redaction import one_line
from orchestrator.running.failures import sign
from orchestrator.running.task import Task
from orchestrator.store.attempt_record import AttemptRecord, ErrorRecord, State

__all__ = ["cause_of_end", "ended_record", "lost_record", "short_line"]

MEMORY_KILL = re.compile(
    r"due to the node running low on memory(?:.*?\bwas (?P<used>\S+ used / \S+ limit))?", re.DOTALL
)
"""In the text of Ray's OutOfMemoryError, which Tune wraps into other errors."""

MOST_CHARACTERS = 200

DEATHS: Mapping[str, str] = {
    r"\bGCS\b|gcs_server|gcs_client|gcs_rpc": "Ray's GCS server died or cannot be reached",
    r"\b[Rr]aylet\b": "Ray's raylet died or cannot be reached",
}
"""What Ray's C++ code says when one of its processes is gone, as regular expressions, and what we say."""

logger = logging.getLogger(__name__)


def lost_record(task: Task, started_at: float, message: str, *, node: str = "") -> AttemptRecord:
    """The attempt as lost; as out of memory if `message` is Ray's about a process killed for its node's memory.

    `started_at`: seconds since the epoch; `node`: id of the node, if known.
    """
    state, kind = State.LOST, "WorkerLost"
    if kill := MEMORY_KILL.search(message):
        state, kind = State.OUT_OF_MEMORY, "MemoryKill"
        used = f" ({kill['used']})" if kill["used"] else ""
        message = f"Ray's memory monitor ended the process, because the memory of the node was full{used}"
    error = sign(ErrorRecord(kind=kind, message=short_line(message)))
    return ended_record(task, started_at, state, error, node=node)


def ended_record(
    task: Task, started_at: float, state: State, error: ErrorRecord | None, *, node: str = ""
) -> AttemptRecord:
    """The record of an attempt that ends now."""
    return AttemptRecord(
        trial_id=task.trial_id,
        attempt=task.attempt,
        state=state,
        started_at=started_at,
        ended_at=time.time(),
        error=error,
        environment={"node": node} if node else {},
        resources=asdict(task.share),
    )


def cause_of_end(text: object) -> str:
    """Why Ray has ended a process, by what it printed or raised last: a short line of ours if it is known.

    The log gets the original.
    """
    line = one_line(text)
    for sign_of, cause in DEATHS.items():
        if re.search(sign_of, line):
            logger.info("%s: %s", cause, line)
            return cause
    return short_line(text)


def short_line(text: object) -> str:
    """What an error says, as one line of limited length without secrets."""
    line = one_line(text) or type(text).__name__
    return line if len(line) <= MOST_CHARACTERS else f"{line[:MOST_CHARACTERS]} ..."
