"""Decoded pixels on disk, mapped into memory: no process of this machine decodes a JPEG twice.

One folder per split, named after a hash of everything the pixels depend on: `pixels` holds image and label of each
pair one after the other, `index.npy` where each begins and how large it is. A build happens in `KEY.part` under a
file lock and gets its name in one step when all is on disk, so a half-written one is never read, however its
builder died; the next builder starts anew.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import PIL
from numpy.typing import NDArray

from trainer.data.source import Pair, Pixels

__all__ = ["CACHE_FOLDER", "CACHE_GIGABYTES", "DECODER_VERSION", "DecodedCache", "DecodedSplit"]

CACHE_FOLDER = "CONTRAST_SWEEP_CACHE"
"""Environment variable: the folder of the cache, or `off`."""
CACHE_GIGABYTES = "CONTRAST_SWEEP_CACHE_GB"
"""Environment variable: how much the folder may hold, in 10^9 bytes."""
DEFAULT_GIGABYTES = 64.0
"""Cityscapes takes 29 of them."""

DECODER_VERSION = 1
"""Raised by hand whenever the same files would give other pixels."""

FREE_SHARE = 0.5
"""A build takes at most this share of what is free on the disk."""


class DecodedSplit:
    """The pixels of one split, mapped read-only. Raises OSError or ValueError when the entry is not sound."""

    def __init__(self, folder: Path) -> None:
        self.index_N3: NDArray[np.int64] = np.load(folder / "index.npy", allow_pickle=False)
        """Offset in bytes, height and width of each pair."""
        size = (folder / "pixels").stat().st_size
        if size != sum(4 * int(height) * int(width) for _, height, width in self.index_N3):
            raise ValueError(f"{folder}: the pixels do not fit their index")
        self.pixels: Pixels = np.memmap(folder / "pixels", dtype=np.uint8, mode="r").view(np.ndarray)

    def read(self, index: int) -> Pair:
        """Pair `index` as read-only views: `image_HW3` and `label_HW`; the disk is touched when they are."""
        offset, height, width = map(int, self.index_N3[index])
        area = height * width
        image_HW3 = self.pixels[offset : offset + 3 * area].reshape(height, width, 3)
        return image_HW3, self.pixels[offset + 3 * area : offset + 4 * area].reshape(height, width)


@dataclass(frozen=True, slots=True)
class DecodedCache:
    """A folder of decoded splits, shared by all processes of a user; the least recently used make room for new ones."""

    folder: Path | None
    """None: nothing is cached."""
    max_bytes: int

    @classmethod
    def default(cls) -> DecodedCache:
        """As the environment says; else below `XDG_CACHE_HOME`, else in the system's folder for temporary files."""
        given = os.environ.get(CACHE_FOLDER, "")
        try:
            max_bytes = int(float(os.environ.get(CACHE_GIGABYTES) or DEFAULT_GIGABYTES) * 1e9)
        except ValueError:
            warnings.warn(f"{CACHE_GIGABYTES} is not a number of gigabytes; no data set is cached", stacklevel=2)
            return cls(None, 0)
        if given.lower() == "off":
            return cls(None, 0)
        if given:
            return cls(Path(given), max_bytes)
        if home := os.environ.get("XDG_CACHE_HOME"):
            return cls(Path(home) / "contrast-sweep", max_bytes)
        return cls(Path(tempfile.gettempdir()) / f"contrast-sweep-{os.getuid()}", max_bytes)

    def get(
        self,
        facts: Sequence[object],
        *,
        sizes: Callable[[], Sequence[tuple[int, int]]],
        pairs: Callable[[], Iterable[Pair]],
    ) -> DecodedSplit | None:
        """The split that `facts` describe; built from `pairs` when it is not there, None when there is no room.

        `sizes` gives (width, height) of each image, cheaply. Of several processes one builds, the others wait for
        it. Raises what `pairs` raises; a disk that is full or may not be written to is a warning.
        """
        if self.folder is None:
            return None
        text = "\n".join(map(str, (DECODER_VERSION, PIL.__version__, *facts)))
        entry = self.folder / hashlib.sha256(text.encode()).hexdigest()[:32]
        try:
            if (found := open_entry(entry)) is not None:
                return found
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if self.folder.stat().st_uid != os.getuid():
                raise PermissionError(f"{self.folder} belongs to another user")
            with locked(lock_of(entry)):
                if (found := open_entry(entry)) is not None:  # built by another process while this one waited
                    return found
                return self._build(self.folder, entry, sizes(), pairs)
        except OSError as error:
            reason = error.strerror or error
            warnings.warn(f"{self.folder}: {reason}; the data set is not cached, each read decodes", stacklevel=2)
            return None

    def _build(
        self, folder: Path, entry: Path, sizes: Sequence[tuple[int, int]], pairs: Callable[[], Iterable[Pair]]
    ) -> DecodedSplit | None:
        """Write `entry`, whose lock is held."""
        wanted = sum(4 * width * height for width, height in sizes)
        if not self._make_room(folder, entry, wanted):
            warnings.warn(
                f"{folder}: no room for {wanted / 1e9:.1f} GB of decoded images, each read decodes; "
                f"set {CACHE_FOLDER} to a larger disk or raise {CACHE_GIGABYTES}",
                stacklevel=2,
            )
            return None
        part = entry.with_name(f"{entry.name}.part")
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir()
        try:
            write_entry(part, pairs())
            part.rename(entry)
        finally:
            shutil.rmtree(part, ignore_errors=True)
        return open_entry(entry)

    def _make_room(self, folder: Path, entry: Path, wanted: int) -> bool:
        """Remove what killed builders left and the least recently used entries until `wanted` bytes fit."""
        if wanted > self.max_bytes:
            return False
        sweep_up(folder, entry)
        held: dict[Path, tuple[float, int]] = {}
        for path in folder.iterdir():
            with suppress(OSError):  # discarded by another process just now
                if path.is_dir() and not path.suffix:
                    held[path] = (path.stat().st_mtime, bytes_in(path))
        total = sum(size for _, size in held.values())
        for path in sorted(held, key=lambda path: held[path][0]):
            if total + wanted <= self.max_bytes and wanted <= FREE_SHARE * shutil.disk_usage(folder).free:
                break
            total -= held[path][1]
            discard(path)
        return wanted <= FREE_SHARE * shutil.disk_usage(folder).free


def open_entry(entry: Path) -> DecodedSplit | None:
    """The finished `entry`, marked as used now; None when there is none or a broken disk left it unsound."""
    try:
        found = DecodedSplit(entry)
    except FileNotFoundError:
        return None
    except ValueError:
        discard(entry)
        return None
    with suppress(OSError):
        os.utime(entry)
    return found


def write_entry(folder: Path, pairs: Iterable[Pair]) -> None:
    """Write all pairs and their index, through to the disk."""
    index: list[tuple[int, int, int]] = []
    with (folder / "pixels").open("wb") as stream:
        for image_HW3, label_HW in pairs:
            index.append((stream.tell(), *label_HW.shape))
            stream.write(np.ascontiguousarray(image_HW3).data)
            stream.write(np.ascontiguousarray(label_HW).data)
        stream.flush()
        os.fsync(stream.fileno())
    with (folder / "index.npy").open("wb") as stream:
        np.save(stream, np.array(index, dtype=np.int64).reshape(-1, 3), allow_pickle=False)
        stream.flush()
        os.fsync(stream.fileno())


def lock_of(entry: Path) -> Path:
    """The file that is locked while `entry` is built. It stays: to remove it would let two builders in."""
    return entry.with_suffix(".lock")


@contextmanager
def locked(path: Path, *, wait: bool = True) -> Iterator[None]:
    """Hold the lock; the system lets go of it when the process dies. BlockingIOError when held and not `wait`."""
    with path.open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield


def sweep_up(folder: Path, entry: Path) -> None:
    """Remove what is left of entries that were discarded or whose builder died."""
    for path in folder.glob("*.gone-*"):
        shutil.rmtree(path, ignore_errors=True)
    for path in folder.glob("*.part"):
        if path.stem != entry.name:
            with suppress(OSError), locked(path.with_suffix(".lock"), wait=False):
                shutil.rmtree(path, ignore_errors=True)


def discard(entry: Path) -> None:
    """Remove `entry`: out of sight in one step, for it is whole or absent; who has it mapped keeps it."""
    gone = entry.with_name(f"{entry.name}.gone-{os.getpid()}")
    with suppress(OSError):
        entry.rename(gone)
    shutil.rmtree(gone, ignore_errors=True)


def bytes_in(folder: Path) -> int:
    """Size of the files of an entry."""
    return sum(path.stat().st_size for path in folder.iterdir())
