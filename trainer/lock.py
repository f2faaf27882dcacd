"""One process at a time in a trial's folder."""

from __future__ import annotations

import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from trainer.errors import TrainerError

__all__ = ["exclusive"]

POLL_SECONDS = 0.2


@contextmanager
def exclusive(path: Path, *, patience_seconds: float = 30.0) -> Iterator[None]:
    """Hold an exclusive lock on the file `path`; the system lets go of it when the process dies, however it dies.

    Waits `patience_seconds` for another holder, who may be dying; then raises TrainerError.
    """
    deadline = time.monotonic() + patience_seconds
    with path.open("ab") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                if time.monotonic() >= deadline:
                    raise TrainerError(
                        f"{path}: another process is training in this folder; wait for it, or stop it and start again"
                    ) from error
                time.sleep(POLL_SECONDS)
        yield
