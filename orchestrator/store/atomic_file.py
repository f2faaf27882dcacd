"""Replaces a file in one step: a reader, or a crash at any moment, sees the old file or the new one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["PARTIAL", "flush", "open_no_link", "partial_file", "replace_file", "write_file"]

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
        flush(path.parent)


@contextmanager
def partial_file(path: Path | str) -> Iterator[Path]:
    """A new name beside `path`, to be written and then renamed or linked to it; removed afterwards if still there."""
    path = Path(path)
    partial = path.with_name(f".{path.name}.{os.urandom(6).hex()}{PARTIAL}")
    try:
        yield partial
    finally:
        partial.unlink(missing_ok=True)


def write_file(path: Path, content: bytes, *, durable: bool, private: bool = False) -> None:
    """Write a new file. `durable`: returns once the disk has its content. Raises OSError."""
    mode = 0o600 if private else 0o666
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(content)
        if durable:
            file.flush()
            os.fsync(file.fileno())


def open_no_link(path: str, flags: int) -> int:
    """An `opener` for `open` that follows no symbolic link and does not wait for the other end of a pipe."""
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666)


def flush(path: Path | str) -> None:
    """Flush a file or a folder to the disk. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
