"""Folders of our own: made for this user alone, marked, checked before each use, and removed only with their mark.

    <folder>/.contrast-sweep      the mark: a line of JSON, with the process that made a temporary folder

A folder that is shared by all processes of a user (`claim`) is named by its purpose and the user id, for example
/tmp/contrast-sweep-cache-1000. Temporary folders lie together in one such folder, so that what killed processes have
left is found without a look at anything else (`remove_stale`). Nothing here follows a symbolic link below the folder
that the user or the system names, and nothing is removed that has no mark.
"""

from __future__ import annotations

import errno
import json
import os
import pwd
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from io import FileIO
from pathlib import Path

from orchestrator.machine.process_identity import ProcessIdentity

__all__ = [
    "MARK",
    "ForeignFolderError",
    "Mark",
    "claim",
    "make_temporary",
    "mark_of",
    "named_for_user",
    "open_file",
    "open_folder",
    "remove",
    "remove_stale",
    "temporary_folder",
    "temporary_root",
]

MARK = ".contrast-sweep"
"""Name of the file that says that a folder is ours."""
MARK_BYTES = 4096
"""No mark is longer."""
STALE_SECONDS = 5.0
"""The removal of stale folders starts no further one after this time."""


class ForeignFolderError(PermissionError):
    """A folder with a name of ours that is not ours; the message is one line and names the remedy."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Mark:
    """What a mark says."""

    process: ProcessIdentity | None = None
    """Who made a temporary folder, which is stale when that process is dead; None for a folder that stays."""

    def to_text(self) -> str:
        """One line of JSON."""
        return json.dumps({"made_by": "contrast-sweep", "process": self.process and asdict(self.process)}) + "\n"

    @classmethod
    def from_text(cls, text: bytes) -> Mark | None:
        """Inverse of `to_text`; None for any other text, such as a mark that is being written."""
        try:
            values = json.loads(text)
            if values["made_by"] != "contrast-sweep":
                return None
            process = values["process"]
            return cls(process=None if process is None else ProcessIdentity(**process))
        except (ValueError, TypeError, KeyError):
            return None


def named_for_user(base: Path | str, purpose: str) -> Path:
    """The path of this user's folder for `purpose` in the folder `base`, which others may use too; makes nothing."""
    return Path(base) / f"contrast-sweep-{purpose}-{os.geteuid()}"


def temporary_root() -> Path:
    """The folder of all temporary folders of this user; its name is short, because Ray's sockets lie below it."""
    return Path(tempfile.gettempdir()) / f"contrast-{os.geteuid()}"


def claim(folder: Path, setting: str) -> Path:
    """Make `folder` with a mark, or check that it is ours; returns it.

    It is ours if it is a folder with our mark, not a link, that belongs to this user and that nobody else may write to.
    An empty folder of this user gets the mark. `setting` is what a user changes to have another folder. Raises
    ForeignFolderError, and OSError where nothing can be written.
    """
    for attempt in range(2):
        try:
            require_private(folder, setting)
            if mark_of(folder, renew=True) is not None:
                return folder
            if attempt or any(folder.iterdir()):
                break
        except FileNotFoundError:
            folder.parent.mkdir(parents=True, exist_ok=True)
        make_marked(folder)
    raise ForeignFolderError(
        f"{folder}: has no file {MARK}, so this program did not make it and does not use it; move it away, or set "
        f"{setting} to another folder"
    )


def require_private(folder: Path, setting: str) -> None:
    """Raise ForeignFolderError for anything but a folder of this user to which nobody else may write."""
    status = folder.lstat()
    if stat.S_ISLNK(status.st_mode):
        fault, remedy = "is a symbolic link, which is not followed", "remove it"
    elif not stat.S_ISDIR(status.st_mode):
        fault, remedy = "is not a folder", "move it away"
    elif status.st_uid != os.geteuid():
        fault, remedy = f"belongs to {user_name(status.st_uid)}", "ask for its removal"
    elif status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        fault, remedy = "others may write to it", f"`chmod 700 {folder}` if all in it is yours"
    else:
        return
    raise ForeignFolderError(f"{folder}: {fault}, so it is not used; {remedy}, or set {setting} to another folder")


def user_name(user_id: int) -> str:
    """`user alice (1001)`, or `user 1001`."""
    try:
        return f"user {pwd.getpwuid(user_id).pw_name} ({user_id})"
    except KeyError:
        return f"user {user_id}"


def make_marked(folder: Path) -> None:
    """Make `folder` with its mark in one step, or put it over an empty one; another process may have been faster."""
    draft = folder.with_name(f".{folder.name}.{os.urandom(4).hex()}")
    draft.mkdir(mode=0o700)
    try:
        write_mark(draft, Mark())
        draft.rename(folder)
    except OSError as error:
        if error.errno not in (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR):
            raise
    finally:
        remove(draft)


def write_mark(folder: Path, mark: Mark) -> None:
    """Write the mark of a new folder."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    with os.fdopen(os.open(folder / MARK, flags, 0o600), "wb") as file:
        file.write(mark.to_text().encode())


def mark_of(folder: Path | str, *, renew: bool = False) -> Mark | None:
    """The mark of a folder of this user; None for a folder without one, and for whatever else has this name.

    `renew` sets the time of the mark, so that a cleaner of old files in /tmp leaves it.
    """
    try:
        with open_folder(folder) as descriptor, open_file(MARK, descriptor) as file:
            if renew:
                with suppress(OSError):  # a disk that may only be read
                    os.utime(file.fileno())
            return Mark.from_text(file.read(MARK_BYTES))
    except OSError:
        return None


@contextmanager
def open_folder(folder: Path | str) -> Iterator[int]:
    """A descriptor of a folder of this user, for `open_file`. Raises OSError for a link or another user's folder."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        require_owner(os.fstat(descriptor), folder)
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def open_file(name: str, folder: int) -> Iterator[FileIO]:
    """The regular file `name` of this user in the folder with descriptor `folder`, for reading without a buffer.

    The owner is looked at before a byte is read, and a pipe does not wait. Raises OSError for anything else.
    """
    descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    try:
        status = os.fstat(descriptor)
        require_owner(status, name)
        if not stat.S_ISREG(status.st_mode):
            raise ForeignFolderError(f"{name}: is not a file")
        with FileIO(descriptor, closefd=False) as file:
            yield file
    finally:
        os.close(descriptor)


def require_owner(status: os.stat_result, name: Path | str) -> None:
    """Raise ForeignFolderError for what belongs to another user."""
    if status.st_uid != os.geteuid():
        raise ForeignFolderError(f"{name}: belongs to {user_name(status.st_uid)}, so it is not used")


@contextmanager
def temporary_folder(purpose: str, parent: Path | None = None) -> Iterator[Path]:
    """`make_temporary`, removed at the end."""
    folder = make_temporary(purpose, parent)
    try:
        yield folder
    finally:
        remove(folder)


def make_temporary(purpose: str, parent: Path | None = None) -> Path:
    """A new folder `<purpose>-<random>` of this process alone, in `parent` or among this user's temporary folders.

    `remove` ends it. If the process is killed before, `remove_stale` finds it. Raises as `claim`.
    """
    folder = Path(
        tempfile.mkdtemp(prefix=f"{purpose}-", dir=claim(temporary_root(), "TMPDIR") if parent is None else parent)
    )
    write_mark(folder, Mark(process=ProcessIdentity.here()))
    return folder


def remove(folder: Path | str) -> None:
    """Remove a folder that has our mark, which goes last: what a crash leaves of it is still marked.

    Does nothing to any other folder, and leaves what cannot be removed. Links in it are removed, not followed.
    """
    if mark_of(folder) is None:
        return
    with suppress(OSError):
        mark = Path(folder) / MARK
        for path in Path(folder).iterdir():
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            elif path != mark:
                with suppress(OSError):
                    path.unlink()
        if list(mark.parent.iterdir()) == [mark]:
            mark.unlink()
            mark.parent.rmdir()


def remove_stale(parent: Path | None = None) -> None:
    """Remove the temporary folders in `parent`, or among those of this user, whose process is dead.

    What a process of another machine made stays. Ends after STALE_SECONDS and leaves the rest to the next call. Raises
    nothing.
    """
    parent = temporary_root() if parent is None else parent
    ends = time.monotonic() + STALE_SECONDS
    with suppress(OSError), os.scandir(parent) as found:
        for item in found:
            if time.monotonic() > ends:
                return
            process = mark.process if item.is_dir(follow_symlinks=False) and (mark := mark_of(item.path)) else None
            if process is not None and process.alive() is False:
                remove(item.path)
