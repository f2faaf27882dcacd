"""SHA-256 digests: of JSON values, of files, and of data sets, whose digests are remembered in a cache."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

from orchestrator.errors import DamagedError
from orchestrator.store.atomic_file import replace_file
from orchestrator.store.bounded_file import read_file
from orchestrator.store.sealed_json import seal, unseal
from trainer.config import DataConfig
from trainer.data import Source

__all__ = [
    "data_digest",
    "file_digest",
    "json_digest",
    "read_cache",
    "read_verified",
    "recall",
    "source_key",
    "write_cache",
]


def json_digest(content: Mapping[str, Any], separators: tuple[str, str] = (",", ":")) -> str:
    """The first 12 hexadecimal digits of the SHA-256 of `content` as canonical JSON: ASCII, keys sorted.

    Among 100,000 contents a collision has probability 2e-5. Raises ValueError for a number that is not finite.
    """
    text = json.dumps(content, sort_keys=True, separators=separators, ensure_ascii=True, allow_nan=False)
    return hashlib.sha256(text.encode("ascii")).hexdigest()[:12]


def file_digest(path: Path) -> str:
    """SHA-256 of a file; it is read again only after a change of its size or modification time."""
    facts = path.stat()
    return content_digest(path, facts.st_size, facts.st_mtime_ns)


@lru_cache(maxsize=64)
def content_digest(path: Path, size: int, mtime_ns: int) -> str:  # noqa: ARG001 - size and time are part of the key
    """SHA-256 of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def data_digest(source: Source, config: DataConfig, cache_dir: Path | None = None) -> str:
    """Digest of the content of a data set; its location does not count.

    With `cache_dir` the digest is remembered there under the sizes and modification times of the files, so that a
    large data set is read once. Raises DataError when the data set is missing or incomplete.
    """
    return recall(cache_dir, "digests.json", source_key(source, config), source.digest)


def source_key(source: Source, config: DataConfig) -> str:
    """A cache key that changes when the data set moves or one of its files changes; reads no content."""
    root = str(Path(config.root).resolve()) if config.root else ""
    plugin = "" if config.plugin is None else f":{config.plugin.source.digest}:{config.plugin.options}"
    return f"{config.name}:{root}:{source.signature()}{plugin}"


def recall(cache_dir: Path | None, file_name: str, key: str, compute: Callable[[], str]) -> str:
    """The cached result of `compute` for `key`; computed again when the cache was lost or `cache_dir` is None."""
    if cache_dir is None:
        return compute()
    path = cache_dir / file_name
    known = read_cache(path)
    if key not in known:
        known[key] = compute()
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
