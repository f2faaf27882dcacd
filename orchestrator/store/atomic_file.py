"""Replaces a file in one step: a reader, or a crash at any moment, sees the old file or the new one."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from orchestrator.machine.file_systems import flush_folder

__all__ = ["PARTIAL", "open_no_link", "partial_file", "publish", "replace_file", "write_file"]

PARTIAL = ".partial"
"""Suffix of a file that is being written; only a crash leaves one."""


def replace_file(path: Path | str, content: bytes, *, durable: bool = True, private: bool = False) -> None:
    """Give `path` a new content; makes its folder. `durable`: returns once the disk has it. Raises OSError.

    `private`: only its owner may read it.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with partial_file(path) as partial:
        write_file(partial, content, durable=durable, private=private)
        partial.replace(path)
    if durable:
        flush_folder(path.parent)


def publish(whole: Path, path: Path) -> bool:
    """Give the complete file `whole` the name `path`, unless that is taken; returns whether it was free.

    Where the file system has no hard links (exFAT, CIFS, BeeGFS), `whole` is moved. Two processes of one machine still
    exclude each other; of two machines that do this in the same moment, the second replaces the file of the first.
    Raises OSError.
    """
    try:
        os.link(whole, path)
    except FileExistsError:
        return False
    except OSError:  # a full or failing disk fails below too
        descriptor = os.open(path.parent, os.O_RDONLY)
        try:
            with suppress(OSError):  # no locks either
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            if path.exists():
                return False
            whole.rename(path)
        finally:
            os.close(descriptor)
    return True


@contextmanager
def partial_file(path: Path | str) -> Iterator[Path]:
    """A new name beside `path`, to be written and then renamed or linked to it; removed afterwards if still there."""
    path = Path(path)
    partial = path.with_name(f".{path.name}.{os.urandom(6).hex()}{PARTIAL}")
    try:
        yield partial
    finally:
        partial.unlink(missing_ok=True)


def write_file(path: Path | str, content: bytes, *, durable: bool, private: bool = False) -> None:
    """Write a new file, whole or not at all. `durable`: returns once the disk has its content.

    Raises FileExistsError if there is one, and OSError.
    """
    mode = 0o600 if private else 0o666
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file, removing(path):
        file.write(content)
        if durable:
            file.flush()
            os.fsync(file.fileno())


@contextmanager
def removing(path: Path | str) -> Iterator[None]:
    """Remove `path` if the body fails."""
    try:
        yield
    except BaseException:
        with suppress(OSError):
            Path(path).unlink()
        raise


def open_no_link(path: str, flags: int) -> int:
    """An `opener` for `open` that follows no symbolic link and does not wait for the other end of a pipe."""
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666)
