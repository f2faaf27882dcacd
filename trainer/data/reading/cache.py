"""Cache of decoded pixels on disk, mapped into memory, so that each file is decoded once per machine.

There is one folder per split, named by a hash of everything that the pixels depend on. `pixels` has the image and the
label of each pair in sequence, `index` their offsets, sizes and checksums. An entry is built in a temporary folder
`part-...` under a file lock and renamed when it is complete, so a partial entry is never read. After a crash, the next
process builds it again. Each read compares a pair with its checksum; an entry that does not match is discarded and
built again. The folder and each entry have our mark and belong to this user; nothing else is read, counted or removed.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tempfile
import warnings
import zlib
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import PIL
from filelock import FileLock
from numpy.typing import NDArray

from orchestrator.machine.own_folder import (
    MARK,
    claim,
    mark_of,
    named_for_user,
    open_file,
    open_folder,
    remove,
    remove_stale,
    temporary_folder,
)
from trainer.data.reading.decode import DECODER_VERSION
from trainer.data.source import Pair, Pixels

__all__ = ["CACHE_FOLDER", "CACHE_GIGABYTES", "DamagedEntryError", "DecodedCache", "DecodedSplit"]

CACHE_FOLDER = "CONTRAST_SWEEP_CACHE"
"""Environment variable: the folder of the cache, or `off`."""
CACHE_GIGABYTES = "CONTRAST_SWEEP_CACHE_GB"
"""Environment variable: the maximum size of the folder, in 10^9 bytes."""
DEFAULT_GIGABYTES = 64.0
"""Cityscapes needs 29."""

FORMAT = 2
"""Of an entry's files: 2 has checksums."""

ENTRY_NAME = re.compile(r"[0-9a-f]{32}")
GONE_NAME = re.compile(r"gone-[0-9a-f]{32}-[0-9]+")
"""Of a discarded entry."""
ENTRY_FILES = {MARK, "index", "pixels"}

FREE_SHARE = 0.5
"""Maximum size of an entry, as a share of the free disk space."""


class DamagedEntryError(ValueError):
    """The pixels of an entry are not those that were decoded."""


class DecodedSplit:
    """The pixels of one split, mapped read-only. Raises OSError or ValueError for a damaged entry."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with open_folder(folder) as entry, open_file("index", entry) as index, open_file("pixels", entry) as pixels:
            self.index_N4: NDArray[np.int64] = np.frombuffer(index.read(), "<i8").reshape(-1, 4)
            """Offset in bytes, height, width and checksum of each pair."""
            status = os.fstat(pixels.fileno())
            if status.st_size != sum(4 * int(height) * int(width) for _, height, width, _ in self.index_N4):
                raise DamagedEntryError(f"{folder}: the pixels do not fit their index")
            self.inode = status.st_ino
            self.pixels: Pixels = np.memmap(pixels, dtype=np.uint8, mode="r").view(np.ndarray)

    def __len__(self) -> int:
        return len(self.index_N4)

    def read(self, index: int) -> Pair:
        """Pair `index` as read-only views `image_HW3` and `label_HW`. Raises DamagedEntryError."""
        offset, height, width, expected = map(int, self.index_N4[index])
        area = height * width
        found = self.pixels[offset : offset + 4 * area] if min(offset, height, width) >= 0 else self.pixels[:0]
        if found.size != 4 * area or checksum(index, height, width, found) != expected:
            raise DamagedEntryError(f"{self.folder}: pair {index} does not match its checksum")
        image_HW3 = self.pixels[offset : offset + 3 * area].reshape(height, width, 3)
        return image_HW3, self.pixels[offset + 3 * area : offset + 4 * area].reshape(height, width)

    def discard(self) -> None:
        """Remove the entry from the cache, unless another process has built it again."""
        with suppress(OSError):
            if (self.folder / "pixels").stat().st_ino == self.inode:
                discard(self.folder)


def checksum(index: int, height: int, width: int, *pixels: NDArray[np.uint8]) -> int:
    """CRC-32 of a pair's number, size and pixels, image before label."""
    total = zlib.crc32(np.array([index, height, width], dtype="<i8").tobytes())
    for part in pixels:
        total = zlib.crc32(np.ascontiguousarray(part).data, total)
    return total


@dataclass(frozen=True, slots=True)
class DecodedCache:
    """A folder of decoded splits that all processes of a user share; removes the least recently used ones."""

    folder: Path | None
    """None: no cache."""
    max_bytes: int

    @classmethod
    def default(cls) -> DecodedCache:
        """In the folder of the environment variable, else of `XDG_CACHE_HOME`, else of temporary files."""
        given = os.environ.get(CACHE_FOLDER, "")
        try:
            max_bytes = int(float(os.environ.get(CACHE_GIGABYTES) or DEFAULT_GIGABYTES) * 1e9)
        except ValueError:
            warnings.warn(f"{CACHE_GIGABYTES} is not a number of gigabytes; no data set is cached", stacklevel=2)
            return cls(None, 0)
        if given.lower() == "off":
            return cls(None, 0)
        base = given or os.environ.get("XDG_CACHE_HOME") or tempfile.gettempdir()
        return cls(named_for_user(base, "cache"), max_bytes)

    def get(
        self,
        facts: Sequence[object],
        *,
        sizes: Callable[[], Sequence[tuple[int, int]]],
        pairs: Callable[[], Iterable[Pair]],
    ) -> DecodedSplit | None:
        """The split that `facts` describe, built from `pairs` if it is missing; None if there is no room.

        `sizes` returns the (width, height) of each image without decoding. One process builds the entry while others
        wait. Raises what `pairs` raises; a full or read-only disk, or a folder that is not ours, is a warning.
        """
        if self.folder is None:
            return None
        text = "\n".join(map(str, (FORMAT, DECODER_VERSION, PIL.__version__, *facts)))
        entry = self.folder / hashlib.sha256(text.encode()).hexdigest()[:32]
        try:
            claim(self.folder, CACHE_FOLDER)
            if (found := open_entry(entry)) is not None:
                return found
            # the lock file stays on disk: removing it could admit two builders
            with FileLock(entry.with_suffix(".lock"), fallback_to_soft=False):
                if (found := open_entry(entry)) is not None:  # built by another process while this one waited
                    return found
                return self._build(self.folder, entry, sizes(), pairs)
        except OSError as error:
            reason = f"{self.folder}: {error.strerror}" if error.strerror else error
            warnings.warn(f"{reason}; the data set is not cached, so each read decodes", stacklevel=2)
            return None

    def entries(self) -> list[Path]:
        """The folders of the complete entries, sorted."""
        if self.folder is None or mark_of(self.folder) is None:
            return []
        return sorted(path for path in self.folder.iterdir() if is_own(path))

    def _build(
        self, folder: Path, entry: Path, sizes: Sequence[tuple[int, int]], pairs: Callable[[], Iterable[Pair]]
    ) -> DecodedSplit | None:
        """Build `entry`; the caller holds its lock."""
        wanted = sum(4 * width * height for width, height in sizes)
        if not self._make_room(folder, entry, wanted):
            warnings.warn(
                f"{folder}: no room for {wanted / 1e9:.1f} GB of decoded images, so each read decodes; "
                f"set {CACHE_FOLDER} to a larger disk or raise {CACHE_GIGABYTES}",
                stacklevel=2,
            )
            return None
        with temporary_folder("part", folder) as part:
            write_entry(claim(part / entry.name, CACHE_FOLDER), pairs())
            (part / entry.name).rename(entry)
        return open_entry(entry)

    def _make_room(self, folder: Path, entry: Path, wanted: int) -> bool:
        """Remove leftovers of crashed builds and the least recently used entries until `wanted` bytes fit."""
        if wanted > self.max_bytes:
            return False
        remove_leftovers(folder)
        held: dict[Path, tuple[float, int]] = {}
        for path in self.entries():
            with suppress(OSError):  # another process may discard it
                held[path] = (path.stat().st_mtime, bytes_in(path))
        total = sum(size for _, size in held.values())
        for path in sorted(held, key=lambda path: held[path][0]):
            if total + wanted <= self.max_bytes and wanted <= FREE_SHARE * shutil.disk_usage(folder).free:
                break
            total -= held[path][1]
            discard(path)
        return wanted <= FREE_SHARE * shutil.disk_usage(folder).free


def open_entry(entry: Path) -> DecodedSplit | None:
    """The complete `entry`, noted as used; None if it is missing, damaged or without our mark."""
    if mark_of(entry) is None:
        return None
    try:
        found = DecodedSplit(entry)
    except (FileNotFoundError, ValueError):
        discard(entry)
        return None
    with suppress(OSError):
        os.utime(entry)
    return found


def write_entry(folder: Path, pairs: Iterable[Pair]) -> None:
    """Write all pairs and their index, flushed to disk."""
    index: list[tuple[int, int, int, int]] = []
    with (folder / "pixels").open("wb") as stream:
        for number, (image_HW3, label_HW) in enumerate(pairs):
            height, width = label_HW.shape
            index.append((stream.tell(), height, width, checksum(number, height, width, image_HW3, label_HW)))
            stream.write(np.ascontiguousarray(image_HW3).data)
            stream.write(np.ascontiguousarray(label_HW).data)
        stream.flush()
        os.fsync(stream.fileno())
    with (folder / "index").open("wb") as stream:
        stream.write(np.array(index, dtype="<i8").tobytes())
        stream.flush()
        os.fsync(stream.fileno())


def is_own(path: Path) -> bool:
    """Whether a path in the folder is an entry: whatever else lies there is neither counted nor removed."""
    if not ENTRY_NAME.fullmatch(path.name) or mark_of(path) is None:
        return False
    try:
        return {item.name for item in path.iterdir()} <= ENTRY_FILES
    except OSError:  # another process may remove it
        return False


def remove_leftovers(folder: Path) -> None:
    """Remove the rest of discarded entries and of crashed builds."""
    remove_stale(folder)
    for path in list(folder.iterdir()):
        if GONE_NAME.fullmatch(path.name):
            remove(path)


def discard(entry: Path) -> None:
    """Remove `entry`, by rename first so that it is never partial; processes that have mapped it can still read it."""
    if is_own(entry):
        gone = entry.with_name(f"gone-{entry.name}-{os.getpid()}")
        with suppress(OSError):
            entry.rename(gone)
            remove(gone)


def bytes_in(folder: Path) -> int:
    """Total size of the files of an entry."""
    return sum(path.lstat().st_size for path in folder.iterdir())
