"""SHA-256 digests of files, and the cache of slow results of a run directory."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

from orchestrator.errors import DamagedError
from orchestrator.machine.atomic_file import replace_file
from orchestrator.machine.file_content import content_digest
from orchestrator.machine.sealed_json import seal, unseal
from orchestrator.store.bounded_file import read_file

__all__ = ["file_digest", "read_cache", "read_verified", "recall", "write_cache"]


def file_digest(path: Path) -> str:
    """SHA-256 of a file; it is read again only after a change of its size or modification time."""
    facts = path.stat()
    return unchanged_digest(path, facts.st_size, facts.st_mtime_ns)


@lru_cache(maxsize=64)
def unchanged_digest(path: Path, size: int, mtime_ns: int) -> str:  # noqa: ARG001 - size and time are part of the key
    """SHA-256 of a file's bytes."""
    return content_digest(path)


def recall(
    cache_dir: Path,
    key: str,
    compute: Callable[[], str],
    *,
    file: str = "digests.json",
    what: str = "",
    preparing: Callable[[str], None] = lambda _: None,
) -> str:
    """The cached result of `compute` for `key`; computed again when the cache was lost.

    `preparing` is told what is computed, and by an empty text that this is over.
    """
    path = cache_dir / file
    known = read_cache(path)
    if key not in known:
        preparing(what or "reading the inputs of the trials")
        try:
            known[key] = compute()
        finally:
            preparing("")
        with suppress(OSError):  # a cache that cannot be written costs time, nothing else
            write_cache(path, known)
    return known[key]


def read_cache(path: Path) -> dict[str, str]:
    """The entries of a cache file; none when it is missing, damaged or has no digest: they can be computed again."""
    return {key: str(value) for key, value in (read_verified(path) or {}).items()}


def read_verified(path: Path) -> dict[str, Any] | None:
    """The values of a sealed file; None when it is missing, damaged or has no digest."""
    try:
        values, verified = unseal(read_file(path))
    except (OSError, ValueError, DamagedError):
        return None
    return values if verified else None


def write_cache(path: Path, values: Mapping[str, str]) -> None:
    """Replace the file atomically; if two processes write at once, one entry is lost, never the file."""
    replace_file(path, seal(dict(sorted(values.items()))), durable=False)
