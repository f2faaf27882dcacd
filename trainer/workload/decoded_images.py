"""The cache of decoded images, as `verify` and `doctor` look at it."""

from __future__ import annotations

from pathlib import Path

from orchestrator.workload.local_cache import LocalCache
from trainer.data.reading.cache import DecodedCache, DecodedSplit

__all__ = ["DECODED_IMAGES"]


def entries() -> list[Path]:
    """The splits in the cache, without those of another version."""
    return [folder for folder in DecodedCache.default().entries() if (folder / "index").exists()]


def verify(folder: Path) -> None:
    """Read all pairs of a split. Raises OSError or ValueError for one that is damaged."""
    split = DecodedSplit(folder)
    for index in range(len(split)):
        split.read(index)


DECODED_IMAGES = LocalCache(
    title="decoded images", folder=lambda: DecodedCache.default().folder, entries=entries, verify=verify
)
