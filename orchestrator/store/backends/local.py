"""LocalFiles: a run directory on a disk or a shared mount. Reads without pathlib: there can be 10,000 files."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from orchestrator.errors import StoreError
from orchestrator.machine.file_systems import flush, flush_folder
from orchestrator.machine.own_folder import remove_stale, temporary_folder
from orchestrator.store.atomic_file import open_no_link, partial_file, replace_file, write_file
from orchestrator.store.backends.base import Files
from orchestrator.store.bounded_file import read_file
from orchestrator.store.disk_errors import disk_remedy

__all__ = ["LocalFiles", "stamp"]

T = TypeVar("T")

NOT_MOVED = {errno.ENOSPC, errno.EDQUOT, errno.EXDEV, errno.EBUSY, errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP}
"""Errors of a full disk, on which no folder can be made, and of file systems that cannot rename a folder."""


class LocalFiles(Files):
    """The `Files` of a run directory that is a folder."""

    remote = False

    def __init__(self, root: str) -> None:
        self.root = root
        self.name = root

    def path(self, key: str) -> str:
        """Path of the file behind `key`."""
        return f"{self.root}/{key}"

    def read(self, key: str, start: int = 0) -> bytes | None:
        """Content of a regular file from byte `start`; None when there is none. Raises DamagedError as `read_file`."""
        return self.unless_missing(lambda path: read_file(path, start), key, None)

    def names(self, folder: str) -> list[str]:
        """Names directly in `folder`."""
        return self.unless_missing(os.listdir, folder, [])

    def sizes(self, folder: str) -> dict[str, int]:
        """Sizes of all files below `folder`."""
        found: dict[str, int] = {}
        self.unless_missing(lambda path: add_sizes(path, "", found), folder, None)
        return found

    def stamps(self, keys: Sequence[str]) -> list[str | None]:
        """Size and time of change of each file."""
        return self.map(lambda key: self.unless_missing(stamp, key, None), keys)

    def write(self, key: str, content: bytes, *, private: bool = False) -> None:
        """Replace a file; returns once the disk has it."""
        path = self.path(key)
        with self.writing(path):
            replace_file(path, content, private=private)

    def create(self, key: str, content: bytes) -> bool:
        """Write a partial file and link it to its name, which fails if the name is taken.

        Without hard links (exFAT, CIFS, BeeGFS) the file is written under its name, which only one writer can create: a
        reader may then see a part of it, and a crash may leave one.
        """
        path = self.path(key)
        with self.writing(path), partial_file(path) as partial:
            write_file(partial, content, durable=True)
            try:
                os.link(partial, path)
            except FileExistsError:
                return False
            except OSError:  # a full or failing disk fails again
                try:
                    write_file(path, content, durable=True)
                except FileExistsError:
                    return False
            flush_folder(os.path.dirname(path))
        return True

    def append(self, key: str, line: bytes) -> None:
        """Append a line. It survives a crash of this process, and after `sync` one of the machine.

        After a line that an earlier crash cut short, it starts a new one. The cost does not grow with the file.
        """
        path = self.path(key)
        with self.writing(path), open(path, "ab+", opener=open_no_link) as file:
            if file.tell() > 0:
                file.seek(-1, os.SEEK_END)
                if file.read(1) != b"\n":
                    line = b"\n" + line
            file.write(line)

    def sync(self, key: str) -> None:
        """Flush a file to the disk, if it exists."""
        path = self.path(key)
        with self.writing(path), suppress(FileNotFoundError):
            flush(path)

    def delete(self, key: str) -> None:
        """Remove a file."""
        with self.writing(self.path(key)), suppress(FileNotFoundError):
            os.unlink(self.path(key))

    def delete_folder(self, folder: str) -> None:
        """Move the folder away, then remove it, so that nobody sees half of it; also removes what a crash has left.

        Where it cannot be moved (`NOT_MOVED`) it is removed where it is.
        """
        path, root = self.path(folder), Path(self.root)
        with self.writing(path):
            remove_stale(root)
            try:
                with temporary_folder(".removed", root) as removed, suppress(FileNotFoundError):
                    os.rename(path, removed / "folder")
            except OSError as error:
                if error.errno not in NOT_MOVED:
                    raise
                shutil.rmtree(path)

    def unless_missing(self, action: Callable[[str], T], key: str, missing: T) -> T:
        """What `action` returns for the path of `key`; `missing` when there is no such file."""
        path = f"{self.root}/{key}"
        try:
            return action(path)
        except (FileNotFoundError, NotADirectoryError):
            return missing
        except OSError as error:
            raise StoreError(f"{path}: cannot be read ({error.strerror})") from error

    @contextmanager
    def writing(self, path: str) -> Iterator[None]:
        """Make the folder of `path`; turn an OSError into a StoreError."""
        try:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            yield
        except OSError as error:
            remedy = disk_remedy(error, path) or "use another --run-dir"
            raise StoreError(f"{path}: cannot be written ({error.strerror}); {remedy}") from error


def stamp(path: str) -> str:
    """Size in bytes and time of change in nanoseconds."""
    status = os.stat(path)
    return f"{status.st_size}:{status.st_mtime_ns}"


def add_sizes(path: str, prefix: str, found: dict[str, int]) -> None:
    """Add to `found` the sizes in bytes of all files below `path`; links are not followed, `path` itself included."""
    if os.path.islink(path):
        return
    with os.scandir(path) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                add_sizes(entry.path, f"{prefix}{entry.name}/", found)
            else:
                found[prefix + entry.name] = entry.stat(follow_symlinks=False).st_size
