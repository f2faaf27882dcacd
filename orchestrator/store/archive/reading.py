"""Opens an archive. Nothing in it is believed before its mark, its names, its sizes and every digest are checked.

A file of somebody else may be anything: paths that lead elsewhere, links, two files of one name, a small file that
unpacks to a large one, a part of a file. Each is refused in one line that names the member. Nothing is unpacked.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import struct
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cached_property
from pathlib import Path
from typing import BinaryIO
from zipfile import ZIP_STORED, BadZipFile, ZipFile, ZipInfo

from orchestrator.errors import DamagedError, StoreError, shortened
from orchestrator.machine.one_line import in_one_line
from orchestrator.store.archive.manifest import Manifest, NewerFormatError
from orchestrator.store.archive.members import MANIFEST, is_known, largest, require_inside

__all__ = ["Archive", "is_archive", "opened"]

AGAIN = "get the file again from where it was published"
OURS = "name a file that `python -m orchestrator export` wrote"
ENCRYPTED = 1
"""Bit of the flags of an entry."""
END, END_BYTES = b"PK\x05\x06", 22
"""How the record begins that ends a zip file without a comment, and its size."""
BROKEN = (BadZipFile, EOFError, NotImplementedError, OSError, RuntimeError, ValueError, struct.error)
"""What Python raises for a file that is no zip file, or a damaged one."""


class Archive:
    """An open archive. After `verify`, all of its content is what its manifest says."""

    def __init__(self, zip_file: ZipFile, name: str, remedy: str) -> None:
        self.zip_file = zip_file
        self.name = name
        """As messages show it."""
        self.remedy = remedy
        """What messages about damage advise."""

    @cached_property
    def manifest(self) -> Manifest:
        """What it holds. Raises StoreError for a file of another program or a later version, and DamagedError."""
        if MANIFEST not in self.zip_file.NameToInfo:
            text = f"has no {MANIFEST}, so this program did not make it and does not read it"
            raise StoreError(f"{self.name}: {text}; {OURS}")
        with self.naming(MANIFEST):
            require_plain(self.zip_file.getinfo(MANIFEST))
            content = self.zip_file.read(MANIFEST)
            try:
                return Manifest.from_bytes(content)
            except NewerFormatError as error:
                raise StoreError(f"{self.name}: {error}; update contrast-sweep") from error

    def verify(self, size: int) -> None:
        """Raise DamagedError for anything that `write_archive` does not write into a file of `size` bytes."""
        listed = self.manifest.members
        entries = self.zip_file.infolist()
        counts = Counter(entry.filename for entry in entries)
        for entry in entries:
            with self.naming(entry.filename):
                require_plain(entry)
                if counts[entry.filename] > 1:
                    raise ValueError("is in it twice")
                if not is_known(entry.filename):
                    raise ValueError("is no file of a sweep")
                if entry.filename != MANIFEST and entry.filename not in listed:
                    raise ValueError(f"is not in its {MANIFEST}")
        total = sum(entry.file_size for entry in entries)
        if total > size:  # entries that share bytes
            text = f"its files have {total / 1e6:.1f} MB, and itself {size / 1e6:.1f} MB"
            raise DamagedError(f"{self.name}: {text}; {self.remedy}")
        for member in listed:
            with self.naming(member):
                if member not in counts:
                    raise ValueError("is missing")
                if self.found(member) != (listed[member].size, listed[member].sha256):
                    raise ValueError("its content does not match its digest")

    def found(self, member: str) -> tuple[int, str]:
        """Size and SHA-256 of a file as it is; without a digest if the checksum of the zip file differs."""
        size = self.zip_file.getinfo(member).file_size
        try:
            with self.zip_file.open(member) as stream:
                return size, hashlib.file_digest(stream, "sha256").hexdigest()  # type: ignore[arg-type] # has readinto
        except BadZipFile:
            return size, ""

    def read(self, member: str) -> bytes | None:
        """Content of a file; None when there is no such file. Raises DamagedError."""
        if member not in self.manifest.members:
            return None
        with self.naming(member):
            return self.zip_file.read(member)

    @contextmanager
    def naming(self, member: str) -> Iterator[None]:
        """Turn what is wrong with a file into a DamagedError of one line."""
        try:
            yield
        except BROKEN as error:
            name = shortened(ascii(member)[1:-1])
            raise DamagedError(f"{self.name}: {name}: {in_one_line(error)}; {self.remedy}") from error


@contextmanager
def opened(path: Path, name: str = "", remedy: str = AGAIN) -> Iterator[Archive]:
    """The archive at `path`, verified; messages call it `name`, by default its path, and advise `remedy`.

    Raises StoreError for a file of another program or a later version, and DamagedError for anything that
    `write_archive` would not have written.
    """
    name = name or str(path)
    with ExitStack() as stack:
        try:
            file = stack.enter_context(open(path, "rb", opener=open_file))
        except OSError as error:
            raise StoreError(f"{name}: cannot be read ({error.strerror}); {OURS}") from error
        try:
            require_end(file)
            zip_file = stack.enter_context(ZipFile(file))
        except BROKEN as error:
            raise DamagedError(f"{name}: not a whole archive ({in_one_line(error)}); {remedy}") from error
        archive = Archive(zip_file, name, remedy)
        archive.verify(os.fstat(file.fileno()).st_size)
        yield archive


def require_end(file: BinaryIO) -> None:
    """Raise ValueError for a file without the end of an archive: a part of one may end in a zip file within it."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(size - END_BYTES, 0))
    if not file.read().startswith(END):
        raise ValueError("its end is missing")


def is_archive(path: Path) -> bool:
    """Whether a file has the mark of this program, in a version that it reads."""
    try:
        with open(path, "rb", opener=open_file) as file, ZipFile(file) as zip_file:
            return bool(Archive(zip_file, str(path), AGAIN).manifest)
    except (StoreError, *BROKEN):
        return False


def open_file(path: str, flags: int) -> int:
    """An opener of regular files, which does not wait for the other end of a pipe. Raises OSError for anything else."""
    descriptor = os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "it is not a file")
    return descriptor


def require_plain(entry: ZipInfo) -> None:
    """Raise ValueError for a path that leads elsewhere, a link, and whatever `write_archive` does not write."""
    require_inside(entry.filename)
    mode = entry.external_attr >> 16
    if stat.S_ISLNK(mode):
        raise ValueError("is a link")
    if entry.is_dir() or (stat.S_IFMT(mode) and not stat.S_ISREG(mode)) or entry.orig_filename != entry.filename:
        raise ValueError("is not a file")
    if entry.flag_bits & ENCRYPTED:
        raise ValueError("is encrypted")
    if entry.file_size > largest(entry.filename):
        raise ValueError(f"has {entry.file_size / 1e6:.0f} MB, more than a file of its kind can have")
    if entry.compress_type != ZIP_STORED or entry.compress_size != entry.file_size:
        raise ValueError("is compressed, which this program does not do")
