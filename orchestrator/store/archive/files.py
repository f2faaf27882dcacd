"""The files of an archive as those of a run directory, for reading: tables are made from it as from a folder."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import NoReturn

from orchestrator.errors import StoreError
from orchestrator.store.archive.reading import Archive
from orchestrator.store.backends import Files
from orchestrator.store.run_directory import RunDirectory

__all__ = ["ArchiveFiles", "directory_of"]


class ArchiveFiles(Files):
    """The `Files` of an open archive."""

    remote = False

    def __init__(self, archive: Archive) -> None:
        self.archive = archive
        self.name = archive.name

    @cached_property
    def folders(self) -> dict[str, set[str]]:
        """By folder, the names directly in it."""
        found: dict[str, set[str]] = {}
        for member in self.archive.manifest.members:
            parts = member.split("/")
            for depth in range(len(parts)):
                found.setdefault("/".join(parts[:depth]), set()).add(parts[depth])
        return found

    def read(self, key: str, start: int = 0) -> bytes | None:
        """Content of a file from byte `start`."""
        content = self.archive.read(key)
        return content[start:] if content else content

    def names(self, folder: str) -> list[str]:
        """Names directly in `folder`."""
        return sorted(self.folders.get(folder, ()))

    def sizes(self, folder: str) -> dict[str, int]:
        """Sizes of all files below `folder`."""
        found: dict[str, int] = {}
        for name in self.names(folder):
            key = f"{folder}/{name}"
            if (member := self.archive.manifest.members.get(key)) is not None:
                found[name] = member.size
            else:
                found |= {f"{name}/{inner}": size for inner, size in self.sizes(key).items()}
        return found

    def stamps(self, keys: Sequence[str]) -> list[str | None]:
        """The digest of each file."""
        members = self.archive.manifest.members
        return [members[key].sha256 if key in members else None for key in keys]

    def write(self, key: str, content: bytes, *, private: bool = False) -> NoReturn:
        """Raise StoreError."""
        raise StoreError(f"{self.name}: an archive is not changed; import it into a run directory first")

    def create(self, key: str, content: bytes) -> NoReturn:
        """Raise StoreError."""
        self.write(key, content)

    def delete(self, key: str) -> NoReturn:
        """Raise StoreError."""
        self.write(key, b"")

    def delete_folder(self, folder: str) -> NoReturn:
        """Raise StoreError."""
        self.write(folder, b"")


def directory_of(archive: Archive) -> RunDirectory:
    """The run directory that an archive holds."""
    return RunDirectory(archive.name, ArchiveFiles(archive))
