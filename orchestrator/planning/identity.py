"""The name of a trial is a function of what it computes: its resolved config, its data and RESULT_VERSION.

Not of the sweep, the row, the machine or the time; so a baseline shared by two sweeps trains once.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

from orchestrator.planning.digests import (
    file_digest,
)
from trainer.config import PACKAGED_WEIGHTS, RESULT_VERSION, TrainConfig, canonical_name, is_outside_identity

__all__ = ["canonical", "content_id", "trial_id"]

ID_LENGTH = 12
"""Hexadecimal digits of a trial id: among 100,000 trials a collision has probability 2e-5."""


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
    for name, _, is_block, convert in layout(TrainConfig):
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
    for name, recorded, is_block, convert in layout(block.__class__):
        value = getattr(block, name)
        if is_block:
            content.update(block_content(value, f"{prefix}{name}."))
        elif value is not None:
            content[prefix + recorded] = convert(value)
    return content


@cache
def layout(config_type: Any) -> tuple[tuple[str, str, bool, Callable[[Any], Any]], ...]:
    """Name, canonical name, whether it is a block, and converter of each field that is part of the identity.

    A field without value (None) has None as its default; any other field is never None.
    """
    types = get_type_hints(config_type)
    return tuple(
        (item.name, canonical_name(item), is_dataclass(types[item.name]), converter(types[item.name]))
        for item in fields(config_type)
        if not is_outside_identity(item)
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
