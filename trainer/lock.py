"""The lock of a trial's folder: only one process trains in it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from trainer.errors import TrainerError

__all__ = ["exclusive"]

POLL_SECONDS = 0.2


@contextmanager
def exclusive(path: Path, *, wait_seconds: float = 30.0) -> Iterator[None]:
    """Hold an exclusive flock(2) on the file `path`, which the system releases if this process dies.

    Waits `wait_seconds` for another holder, which may be about to end; then raises TrainerError.
    """
    lock = FileLock(path, fallback_to_soft=False)
    try:
        held = lock.acquire(timeout=wait_seconds, poll_interval=POLL_SECONDS)
    except Timeout as error:
        raise TrainerError(
            f"{path}: another process is training in this folder; wait for it, or stop it and start again"
        ) from error
    with held:
        yield
