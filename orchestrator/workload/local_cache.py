"""LocalCache: what a workload keeps on a machine between trials, outside any run directory."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

__all__ = ["LocalCache"]


@dataclass(frozen=True, kw_only=True, slots=True)
class LocalCache:
    """Results that may be lost at any time, such as decoded images."""

    title: str
    """`decoded images`."""
    folder: Callable[[], Path | None]
    """Where it lies, even if it is not there yet; None: it is switched off."""
    entries: Callable[[], Iterable[Path]]
    """What it holds at present."""
    verify: Callable[[Path], None]
    """Reads an entry. Raises OSError or ValueError for one that is damaged."""
