"""Digests of data sets: of content, remembered by path, size and time of change."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

from orchestrator.store.atomic_file import replace_file
from trainer.config import DataConfig
from trainer.data import Source, open_source

__all__ = ["data_digest"]

HASH_CHUNK_BYTES = 2**20


def file_digest(path: Path) -> str:
    """SHA-256 of a file; read again only when it changed."""
    facts = path.stat()
    return content_digest(path, facts.st_size, facts.st_mtime_ns)


@lru_cache(maxsize=64)
def content_digest(path: Path, size: int, mtime_ns: int) -> str:  # noqa: ARG001 - size and time are part of the key
    """SHA-256 of a file's bytes."""
    total = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(HASH_CHUNK_BYTES):
            total.update(chunk)
    return total.hexdigest()


def data_digest(config: DataConfig, cache_dir: Path | None = None) -> str:
    """Digest of the data set's content, wherever it lies.

    With `cache_dir` the digest is remembered there under the files' sizes and times, so that a large data set is
    read once. Raises DataError when the data set is missing or incomplete.
    """
    return source_digest(open_source(config), config, cache_dir)


def source_digest(source: Source, config: DataConfig, cache_dir: Path | None) -> str:
    """`data_digest` of a data set that is open already."""
    return recall(cache_dir, "digests.json", source_key(source, config), source.digest)


def source_key(source: Source, config: DataConfig) -> str:
    """A key that changes when the data set moves or a file of it changes; reads no content."""
    root = str(Path(config.root).resolve()) if config.root else ""
    return f"{config.name}:{root}:{source.signature()}"


def recall(cache_dir: Path | None, file_name: str, key: str, compute: Callable[[], str]) -> str:
    """What `compute` returned for `key` when it was called first; called again when the cache is lost or None."""
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
    """What is remembered; nothing when the file is missing or damaged, for it can be computed again."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return {str(key): str(value) for key, value in content.items()} if isinstance(content, dict) else {}


def write_cache(path: Path, values: Mapping[str, str]) -> None:
    """Replace the file in one step; of two processes that write at once one loses its entry, never the file."""
    replace_file(path, json.dumps(values, indent=1, sort_keys=True).encode(), durable=False)
