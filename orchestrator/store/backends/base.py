"""Files: what a record store needs of the place that holds its run directory, and how such a place is named."""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

from orchestrator.errors import StoreError
from orchestrator.machine.own_folder import ForeignFolderError, claim, named_for_user

__all__ = ["SCRATCH_FOLDER", "Files", "claim_scratch", "local_folder", "location"]

SCRATCH_FOLDER = "CONTRAST_SWEEP_SCRATCH"
"""Environment variable: where trials of an object store work; default: the system's folder for temporary files."""

SCRATCH = "scratch"
"""Purpose of the folder of copies, in its name."""

T = TypeVar("T")

SCHEME = re.compile(r"([a-z][a-z0-9+.-]+):/+(?=[^/])")
"""At least two letters; one slash is enough, because `Path` removes the other."""


class Files(Protocol):
    """The files of one run directory. A key is a path below it, with slashes: `trials/<trial_id>/trial.json`.

    A missing file or folder reads as None or empty, and is not an error. Every method raises StoreError, with one line
    that contains no secret, when the run directory cannot be read or written.
    """

    name: str
    """The run directory in messages; without a password."""
    remote: bool
    """Whether every access is a request to a server, so that few requests and many at a time are best."""

    def read(self, key: str, start: int = 0) -> bytes | None:
        """Content of a file from byte `start`."""

    def names(self, folder: str) -> list[str]:
        """Names of files and folders directly in `folder`, unordered."""

    def map(self, action: Callable[[str], T], keys: Sequence[str]) -> list[T]:
        """`action` of each key, in order; in threads if there are many: disks and servers answer several at once.

        10,000 records took 0.9 s instead of 5.1 s from a disk with a dropped cache, and equally long with a warm one.
        """
        batch, threads = (1, 32) if self.remote else (128, 8)
        if len(keys) <= batch:
            return [action(key) for key in keys]
        from concurrent.futures import ThreadPoolExecutor

        batches = [keys[start : start + batch] for start in range(0, len(keys), batch)]
        with ThreadPoolExecutor(min(threads, len(batches))) as pool:
            results = pool.map(lambda some: [action(key) for key in some], batches)
            return [item for found in results for item in found]

    def sizes(self, folder: str) -> dict[str, int]:
        """Size in bytes of every file below `folder`, at any depth, by its path below `folder`."""

    def stamps(self, keys: Sequence[str]) -> list[str | None]:
        """A text for each file that changes with its content and is cheaper than reading it; None for a missing file.

        An object store only checks that the folder of each file exists: one listing for all of them.
        """

    def write(self, key: str, content: bytes, *, private: bool = False) -> None:
        """Replace a file durably and atomically: a reader, or a crash at any moment, sees the old or the new file.

        `private`: on a disk, only its owner may read it.
        """

    def create(self, key: str, content: bytes) -> bool:
        """`write`, unless the file exists: False then. Of several concurrent calls one gets True."""

    def delete(self, key: str) -> None:
        """Remove a file, if it exists."""

    def delete_folder(self, folder: str) -> None:
        """Remove a folder and all below it; after a crash a half removed folder counts as removed."""


def location(run_dir: Path | str) -> str:
    """`run_dir` as a local path or as a URL with `://`, also if it was a `Path`; `file://` is a local path."""
    text = os.fspath(run_dir)
    match = SCHEME.match(text)
    if match is None:
        return text
    rest = text[match.end() :]
    return f"/{rest}" if match[1] in ("file", "local") else f"{match[1]}://{rest}"


def local_folder(run_dir: Path | str) -> Path:
    """The folder on this machine that belongs to `run_dir`: itself, or for an object store the one its trials work in.

    It is the same path on every node, because workers get it from the driver. For an object store it holds only copies,
    in a folder of this user that is made or checked here. Raises StoreError if that is another's.
    """
    address = location(run_dir)
    if "://" not in address:
        return Path(address)
    scratch = named_for_user(os.environ.get(SCRATCH_FOLDER) or tempfile.gettempdir(), SCRATCH)
    return claim_scratch(scratch / hashlib.sha256(address.rstrip("/").encode()).hexdigest()[:16])


def claim_scratch(folder: Path) -> Path:
    """Make or check, on this machine, the folder of copies that holds `folder`; returns `folder`.

    A folder outside such a one is the caller's own. Raises StoreError.
    """
    for parent in folder.parents:
        if parent.name.startswith(named_for_user("", SCRATCH).name.rpartition("-")[0]):
            try:
                claim(parent, SCRATCH_FOLDER)
            except ForeignFolderError as error:
                raise StoreError(str(error)) from error
            except OSError as error:
                raise StoreError(
                    f"{parent}: cannot be written ({error.strerror}); set {SCRATCH_FOLDER} to another folder"
                ) from error
    return folder
