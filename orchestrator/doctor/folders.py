"""Checks of folders: what their file systems can do, how much room they have, and the clock of their server."""

from __future__ import annotations

import fcntl
import os
import sqlite3
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from orchestrator.doctor.finding import Problem, Question, existing
from orchestrator.machine.own_folder import ForeignFolderError, claim, make_temporary, remove, temporary_root
from orchestrator.running.executors.socket_folder import LONGEST_SOCKET, socket_folder
from orchestrator.store.disk_errors import disk_remedy
from orchestrator.store.lock import file_system
from orchestrator.store.run_directory import RunDirectory

__all__ = [
    "check_clock",
    "check_free_space",
    "check_links",
    "check_locks",
    "check_run_directory",
    "check_temporary_folder",
    "check_write_ahead_log",
    "removing_scratch",
]

LEAST_BYTES = 2_000_000_000
LEAST_FILES = 10_000
CHECKPOINT_BYTES = 600_000_000
"""Of HRNet-W48, the largest model that is tested: weights and momentum."""
BYTES_TO_WORK, FILES_TO_WORK = 200_000, 20
"""Of the record, the points and the folder of one trial; with less, none can end."""
MOST_SKEW_SECONDS = 5.0

opened: set[Path] = set()
"""The folders that checks have made and not yet removed."""
making = threading.Lock()
"""Held while a folder is made, until it is in `opened`."""
ended = threading.Event()
"""No check makes a folder any more."""


@contextmanager
def scratch(folder: Path) -> Iterator[Path]:
    """A new folder in `folder`, removed afterwards. Raises Problem where nothing can be written."""
    with making:
        if ended.is_set():
            raise Problem("interrupted", "run the same command again")
        try:
            made = make_temporary(".contrast-doctor", folder)
        except OSError as error:
            remedy = disk_remedy(error, folder) or "make it writable for this user, or name another folder"
            raise Problem(f"{folder}: cannot be written ({error.strerror})", remedy, fatal=True) from error
        opened.add(made)
    try:
        yield made
    finally:
        remove(made)
        opened.discard(made)


@contextmanager
def removing_scratch() -> Iterator[None]:
    """After the body no check has a folder left, also one that hangs: its thread ends with the process."""
    ended.clear()
    try:
        yield
    finally:
        ended.set()
        if making.acquire(timeout=1):  # a folder that is just being made; not one that a file system does not make
            making.release()
        for folder in tuple(opened):
            remove(folder)


def kind_of(folder: Path) -> str:
    """`runs (ext4)`."""
    kind = file_system(str(folder))
    return f"{folder} ({kind})" if kind else str(folder)


def check_temporary_folder(_question: Question) -> str:
    """A private Ray cluster can have its sockets in the folder of temporary files, or in another one."""
    with scratch(Path(tempfile.gettempdir())):
        pass
    try:
        claim(temporary_root(), "TMPDIR")
    except ForeignFolderError as error:
        what, _, remedy = str(error).partition("; ")
        raise Problem(what, remedy, fatal=True) from error
    folder, needed = socket_folder()
    if folder != Path(tempfile.gettempdir()):
        length = f"{needed} of {LONGEST_SOCKET} bytes"
        return f"{tempfile.gettempdir()} is too long for Ray's sockets ({length}), so they lie in {folder}"
    return f"{kind_of(folder)}, Ray's sockets have {needed} of {LONGEST_SOCKET} bytes"


def check_run_directory(question: Question) -> str:
    """The run directory can be read, and written where it is a folder."""
    names = RunDirectory(question.run_dir).sweep_names()  # raises StoreError
    if not question.remote:
        with scratch(question.folder) as folder:
            (folder / "file").write_bytes(b"content")
            (folder / "file").replace(folder / "renamed")
    sweeps = f"{len(names)} sweep{'' if len(names) == 1 else 's'}"
    return f"{question.run_dir if question.remote else kind_of(question.folder)}, {sweeps}"


def check_locks(question: Question) -> str:
    """The run directory has file locks, so that the lock of a killed sweep ends with it."""
    if question.remote:
        return "an object store has none; a lease takes their place"
    with scratch(question.folder) as folder, (folder / "lock").open("wb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            text = (
                f"none on {kind_of(question.folder)} ({error.strerror}); a lease takes their place and outlives a kill"
            )
            raise Problem(text, "mount it with locks, or name a --run-dir on another file system") from error
    return kind_of(question.folder)


def check_links(question: Question) -> str:
    """The run directory and the folder of the database have hard links."""
    for folder in dict.fromkeys(
        filter(None, (None if question.remote else question.folder, database_folder(question)))
    ):
        with scratch(folder) as made:
            (made / "file").write_bytes(b"")
            try:
                (made / "link").hardlink_to(made / "file")
            except OSError as error:
                text = f"no hard links on {kind_of(folder)} ({error.strerror}); files are renamed instead"
                remedy = "two programs that create the same file at the same moment need a file system with links"
                raise Problem(
                    text, f"{remedy}: name another --run-dir or --tracking-uri if several start at once"
                ) from error
    return "hard links work"


def database_folder(question: Question) -> Path | None:
    """The folder of MLflow's database; None for a server."""
    return None if question.database is None else existing(question.database.absolute().parent)


def check_write_ahead_log(question: Question) -> str:
    """The file system of MLflow's database has what SQLite's write-ahead log needs."""
    folder = database_folder(question)
    if folder is None:
        return "MLflow's store is not a file"
    with scratch(folder) as made, closing(sqlite3.connect(made / "probe.db")) as connection:
        try:
            mode = connection.execute("PRAGMA journal_mode=WAL").fetchone()[0]
            connection.execute("CREATE TABLE probe (x)")
            connection.commit()
        except sqlite3.OperationalError as error:
            mode = str(error)
    if mode != "wal":
        text = f"not on {kind_of(folder)} ({mode}); MLflow's pages and the sweep wait for each other"
        raise Problem(text, "name a --tracking-uri on a local disk, such as sqlite:////tmp/mlflow.db, or a server")
    return kind_of(folder)


def check_clock(question: Question) -> str:
    """The clock of this machine agrees with that of the server of the run directory."""
    folder = Path(tempfile.gettempdir()) if question.remote else question.folder
    with scratch(folder) as made:
        began = time.time()
        (made / "now").write_bytes(b"x")
        skew = (made / "now").stat().st_mtime - began
    if abs(skew) > MOST_SKEW_SECONDS:
        text = f"{abs(skew):.0f} s {'behind' if skew > 0 else 'before'} that of {kind_of(folder)}"
        raise Problem(text, "synchronise the clocks (NTP, `timedatectl set-ntp true`)")
    return f"{time.strftime('%Y-%m-%d %H:%M:%S %Z')}, as on {folder}"


def check_free_space(question: Question) -> str:
    """Disks and their tables of files have room: the run directory for two checkpoints of each trial in flight."""
    cache = question.workload.extras.cache
    cache_folder = None if cache is None else cache.folder()
    places = {
        "run directory": question.folder,
        "temporary files": Path(tempfile.gettempdir()),
        "tables": existing(question.out),
        "" if cache is None else cache.title: None if cache_folder is None else existing(cache_folder),
        "MLflow": database_folder(question),
    }
    checkpoints = 2 * CHECKPOINT_BYTES * question.trials_at_a_time
    least = None
    fatal = False
    full: dict[str, list[str]] = {}
    for name, folder in places.items():
        if folder is None:
            continue
        status = os.statvfs(folder)
        free = status.f_bavail * status.f_frsize
        if folder == question.folder and not question.remote:
            fatal = free < BYTES_TO_WORK or (status.f_files > 0 and status.f_favail < FILES_TO_WORK)
        if free < (max(LEAST_BYTES, checkpoints) if name == "run directory" else LEAST_BYTES):
            full.setdefault(f"{free / 1e9:.2f} GB free in {folder}", []).append(name)
        elif status.f_files and status.f_favail < LEAST_FILES:
            full.setdefault(f"{status.f_favail} more files possible in {folder}", []).append(name)
        least = free if least is None else min(least, free)
    if full:
        text = ", ".join(f"{fact} ({', '.join(names)})" for fact, names in full.items())
        remedy = "free space there, or name another folder (--run-dir, --out, TMPDIR, CONTRAST_SWEEP_CACHE)"
        raise Problem(text, remedy, fatal=fatal)
    return f"at least {(least or 0) / 1e9:.0f} GB in each folder"
