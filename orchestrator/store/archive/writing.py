"""Writes an archive. Equal members give equal bytes on any machine with any zlib, because nothing is compressed."""

from __future__ import annotations

import stat
from collections.abc import Iterable
from typing import BinaryIO
from zipfile import ZIP_STORED, ZipFile, ZipInfo

from orchestrator.store.archive.manifest import Manifest, Member
from orchestrator.store.archive.members import MANIFEST

__all__ = ["write_archive"]

EARLIEST = (1980, 1, 1, 0, 0, 0)
"""The first moment that a zip file can state."""
UNIX = 3
"""System whose file attributes the entries have."""
READABLE = (stat.S_IFREG | 0o644) << 16


def write_archive(file: BinaryIO, sweep: str, members: Iterable[tuple[str, bytes]]) -> None:
    """Write the archive of `sweep`; `members` are names with contents, sorted by name. Raises OSError."""
    listed: dict[str, Member] = {}
    with ZipFile(file, "w", ZIP_STORED) as archive:
        for name, content in members:
            add(archive, name, content)
            listed[name] = Member.of(content)
        add(archive, MANIFEST, Manifest(sweep=sweep, members=listed).to_bytes())


def add(archive: ZipFile, name: str, content: bytes) -> None:
    """Add a file without a trace of where and when it was added."""
    entry = ZipInfo(name, EARLIEST)
    entry.create_system, entry.external_attr = UNIX, READABLE
    archive.writestr(entry, content, ZIP_STORED)
