"""The name of a trial is a function of what it computes: its resolved config, its data and RESULT_VERSION.

Not of the sweep, the row, the machine or the time; so a baseline shared by two sweeps trains once.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import fields, is_dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

from trainer.config import RESULT_VERSION, DataConfig, TrainConfig, is_nameless
from trainer.data import Source, open_source

__all__ = ["PACKAGED_WEIGHTS", "canonical", "content_id", "data_digest", "trial_id"]

ID_LENGTH = 12
"""Hexadecimal digits of a trial id: among 100,000 trials a collision has probability 2e-5."""

PACKAGED_WEIGHTS = ("none", "imagenet")
"""Values of `model.weights` that are no path."""

HASH_CHUNK_BYTES = 2**20


def trial_id(config: TrainConfig, data_digest: str) -> str:
    """Twelve hexadecimal digits that are equal for equal computations on equal data, and only then.

    Raises OSError when `model.weights` names a file that cannot be read.
    """
    return content_id(canonical(config), data_digest)


def content_id(config: Mapping[str, Any], data_digest: str) -> str:
    """`trial_id` of a config given as `canonical` returns it: the seeds of a row differ in one entry."""
    content = {"config": config, "data": data_digest, "result_version": RESULT_VERSION}
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return hashlib.sha256(text.encode("ascii")).hexdigest()[:ID_LENGTH]


def canonical(config: TrainConfig) -> dict[str, Any]:
    """What the config computes, as dotted keys and plain JSON values; the seed is one of them.

    Knobs without effect stand at their defaults, paths are left out (weights: replaced by `sha256:...`), and so are
    limits; optional knobs that are not set do not appear, and `1` in a float field is `1.0`.
    """
    normal = config.normalised()
    content: dict[str, Any] = {}
    for name, is_block, convert in layout(TrainConfig):
        value = getattr(normal, name)
        if is_block:
            content.update(block_content(value, f"{name}."))
        else:
            content[name] = convert(value)
    weights = content["model.weights"]
    if weights not in PACKAGED_WEIGHTS:
        content["model.weights"] = f"sha256:{file_digest(Path(weights))}"
    return content


@lru_cache(maxsize=4096)
def block_content(block: Any, prefix: str) -> Mapping[str, Any]:
    """Canonical values below one block; the same few blocks recur in all trials of a sweep."""
    content: dict[str, Any] = {}
    for name, is_block, convert in layout(block.__class__):
        value = getattr(block, name)
        if is_block:
            content.update(block_content(value, f"{prefix}{name}."))
        elif value is not None:
            content[prefix + name] = convert(value)
    return content


@cache
def layout(config_type: Any) -> tuple[tuple[str, bool, Callable[[Any], Any]], ...]:
    """Name, whether it is a block, and converter of each field that counts.

    A field without value (None) has None as its default; any other field is never None.
    """
    types = get_type_hints(config_type)
    return tuple(
        (item.name, is_dataclass(types[item.name]), converter(types[item.name]))
        for item in fields(config_type)
        if not is_nameless(item)
    )


def converter(annotation: Any) -> Callable[[Any], Any]:
    """A function from a field's value to its canonical JSON value."""
    if annotation is float:
        return lambda value: float(value) + 0.0  # -0.0 is 0.0
    if annotation is int:
        return int
    if get_origin(annotation) is tuple:
        if get_args(annotation)[-1] is Ellipsis:
            part_of_any_number = converter(get_args(annotation)[0])
            return lambda value: [part_of_any_number(item) for item in value]
        parts = tuple(converter(part) for part in get_args(annotation))
        return lambda value: [part(item) for part, item in zip(parts, value, strict=True)]
    optional = [part for part in get_args(annotation) if part is not type(None)]
    if type(None) in get_args(annotation) and len(optional) == 1:
        return converter(optional[0])
    return lambda value: value


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
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    part.write_text(json.dumps(values, indent=1, sort_keys=True), encoding="utf-8")
    part.replace(path)
