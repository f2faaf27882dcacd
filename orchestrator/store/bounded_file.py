"""Reads a file of a run directory: regular files only, and not more than fits into memory, so that nothing hangs."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from orchestrator.errors import DamagedError

__all__ = ["most_bytes", "read_file", "require_size"]

MOST_BYTES = {".json": 64_000_000}
"""By ending; the plan of 10,000 trials takes 2 MB."""
MOST_BYTES_OF_OTHERS = 1_000_000_000
"""Of points, caches and journals."""

NO_FILE = {
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFDIR: "a folder",
}


def read_file(path: Path | str, start: int = 0) -> bytes:
    """Content of a regular file from byte `start`, without a buffer in between.

    Raises DamagedError, which names the path, for anything else, for a file that is too large and for a failing disk;
    OSError when there is no file or it may not be read.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # a pipe without a writer opens at once
    except OSError as error:
        if error.errno == errno.ENXIO:
            raise DamagedError(f"{path}: a socket or a device instead of a file") from error
        raise
    try:
        status = os.fstat(descriptor)
        kind = stat.S_IFMT(status.st_mode)
        if kind != stat.S_IFREG:
            raise DamagedError(f"{path}: {NO_FILE.get(kind, 'something else')} instead of a file")
        require_size(str(path), status.st_size)
        with os.fdopen(descriptor, "rb", buffering=0, closefd=False) as file:
            if start:
                file.seek(start)
            return file.readall()
    except OSError as error:
        if error.errno == errno.EIO:
            raise DamagedError(f"{path}: the disk cannot read it ({error.strerror})") from error
        raise
    finally:
        os.close(descriptor)


def most_bytes(path: str) -> int:
    """The largest size of a file of this kind."""
    return MOST_BYTES.get(os.path.splitext(path)[1], MOST_BYTES_OF_OTHERS)  # noqa: PTH122 - ten thousand paths


def require_size(path: str, size: int) -> None:
    """Raise DamagedError for a file that is larger than its kind can be."""
    if size > most_bytes(path):
        raise DamagedError(f"{path}: more than {most_bytes(path) / 1e6:.0f} MB, so it is not a file of a run directory")
