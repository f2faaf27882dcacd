"""Files: what a record store asks of the place where its run directory lies, and how such a place is named."""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

__all__ = ["SCRATCH_FOLDER", "Files", "at_once", "local_folder", "location"]

SCRATCH_FOLDER = "CONTRAST_SWEEP_SCRATCH"
"""Environment variable: where trials of an object store work; else the system's folder for temporary files."""

A = TypeVar("A")
B = TypeVar("B")

SCHEME = re.compile(r"([a-z][a-z0-9+.-]+):/+(?=[^/])")
"""Two letters at least; one slash where `Path` ate the other."""


class Files(Protocol):
    """One run directory. A key is a path below it, with slashes: `trials/<trial_id>/trial.json`.

    What is not there is None or empty, never an error. Every method raises StoreError, one line without a secret,
    when the place cannot be read or written.
    """

    name: str
    """As messages call the run directory; without a password."""
    remote: bool
    """Whether every access is a request to a server: many at a time then, and as few as can be."""

    def read(self, key: str, start: int = 0) -> bytes | None:
        """Content of a file from byte `start`."""

    def read_all(self, keys: Sequence[str]) -> list[bytes | None]:
        """Content of many files."""

    def names(self, folder: str) -> list[str]:
        """Names of files and folders directly in `folder`, in no order."""

    def names_all(self, folders: Sequence[str]) -> list[list[str]]:
        """`names` of many folders."""

    def sizes(self, folder: str) -> dict[str, int]:
        """Bytes of every file at any depth below `folder`, by its path below `folder`."""

    def stamps(self, keys: Sequence[str]) -> list[str | None]:
        """A sign of each file's content that costs less than reading it; None for a file that is gone.

        An object store is asked for the folders around the files only: once for all, where it lists them.
        """

    def write(self, key: str, content: bytes) -> None:
        """Durably and atomically: a reader, or a crash at any moment, sees the old file or the new one."""

    def create(self, key: str, content: bytes) -> bool:
        """`write`, unless there is such a file already: False then. One of several at the same time gets True."""

    def delete(self, key: str) -> None:
        """Remove a file, if it is there."""

    def delete_folder(self, folder: str) -> None:
        """Remove a folder with all below it; what is half removed after a crash counts as removed."""


def at_once(action: Callable[[A], B], arguments: Sequence[A], threads: int) -> list[B]:
    """`action` of each argument, in order; up to `threads` of them at the same time."""
    if len(arguments) <= 1:
        return [action(argument) for argument in arguments]
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(min(threads, len(arguments))) as pool:
        return list(pool.map(action, arguments))


def location(run_dir: Path | str) -> str:
    """`run_dir` as a local path, or as a URL with `://`, also when it went through `Path`; `file://` is local."""
    text = os.fspath(run_dir)
    match = SCHEME.match(text)
    if match is None:
        return text
    rest = text[match.end() :]
    return f"/{rest}" if match[1] in ("file", "local") else f"{match[1]}://{rest}"


def local_folder(run_dir: Path | str) -> Path:
    """The folder on this machine that belongs to `run_dir`: itself, or for an object store where its trials work.

    The same on every node, since a worker gets the path from the driver. Nothing in it is needed twice: it may go.
    """
    place = location(run_dir)
    if "://" not in place:
        return Path(place)
    scratch = os.environ.get(SCRATCH_FOLDER) or Path(tempfile.gettempdir()) / f"contrast-sweep-runs-{os.getuid()}"
    return Path(scratch) / hashlib.sha256(place.rstrip("/").encode()).hexdigest()[:16]
