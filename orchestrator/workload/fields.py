"""Markers of config fields, which say how a field enters a trial's identity, and the check that all blocks share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import MISSING, Field, field, fields, is_dataclass, replace
from functools import cache
from typing import Any

__all__ = [
    "canonical_name",
    "fields_below",
    "file_keys",
    "file_or_name",
    "identity_values",
    "implied",
    "is_outside_identity",
    "limit",
    "location",
    "location_keys",
    "optional",
    "optional_block",
    "outside_identity_keys",
    "renamed_keys",
    "require",
    "setting",
    "unset_implied",
]


def location(default: str | None = None) -> Any:
    """A path on this machine. The identity of a trial has the digest of the content instead."""
    return field(default=default, metadata={"location": True})


def file_or_name(default: str, *, names: tuple[str, ...]) -> Any:
    """One of `names`, or the path of a file. The identity of a trial has the digest of the file instead."""
    return field(default=default, metadata={"names": names})


def limit() -> Any:
    """A field that can refuse a trial but does not change its result, so it is not part of the identity."""
    return field(default=None, metadata={"limit": True})


def optional(implied: Any, *, canonical: str | None = None) -> Any:
    """A field that can stay unset; unset and `implied` are the same computation.

    `canonical` is the name before the field was renamed: canonical configs keep it, so that trial ids do not change.
    """
    return field(default=None, metadata={"implied": implied, **({"canonical": canonical} if canonical else {})})


def optional_block(block_type: type) -> Any:
    """A block whose fields are all optional; unset, it is not part of the identity of a trial."""
    return field(default_factory=block_type, metadata={"optional_block": True})


def setting(block: Any, name: str) -> Any:
    """The value of a field, or its implied value if it is not set."""
    value = getattr(block, name)
    return implied(type(block), name) if value is None else value


def implied(config_type: Any, name: str) -> Any:
    """The value that an unset field stands for; None if there is no single one."""
    return config_type.__dataclass_fields__[name].metadata.get("implied")


def unset_implied(block: Any) -> Any:
    """`block` without the values that equal the implied value."""
    block_type: Any = type(block)
    redundant = {name: None for name, value in implied_values(block_type) if getattr(block, name) == value}
    return replace(block, **redundant) if redundant else block


@cache
def implied_values(block_type: Any) -> tuple[tuple[str, Any], ...]:
    """Name and implied value of each field that can stay unset."""
    return tuple((item.name, item.metadata["implied"]) for item in fields(block_type) if "implied" in item.metadata)


def require(condition: bool, key: str, message: str) -> None:
    """Raise ValueError `key: message` unless `condition` holds; the reader of YAML adds file and line."""
    if not condition:
        raise ValueError(f"{key}: {message}")


@cache
def location_keys(config_type: Any) -> tuple[str, ...]:
    """Dotted keys of all fields marked `location()` below `config_type`, for example `("data.root",)`."""
    return tuple(prefix + item.name for prefix, item in fields_below(config_type) if item.metadata.get("location"))


@cache
def file_keys(config_type: Any) -> Mapping[str, tuple[str, ...]]:
    """Dotted keys of all fields marked `file_or_name()` below `config_type`, with the names that are no files."""
    below = fields_below(config_type)
    return {prefix + item.name: item.metadata["names"] for prefix, item in below if "names" in item.metadata}


def outside_identity_keys(config_type: type) -> tuple[str, ...]:
    """Dotted keys of all fields below `config_type` that are not part of a trial's identity."""
    return tuple(prefix + item.name for prefix, item in fields_below(config_type) if is_outside_identity(item))


@cache
def renamed_keys(config_type: Any) -> Mapping[str, str]:
    """Old dotted key -> current dotted key of all renamed fields below `config_type`."""
    below = fields_below(config_type)
    return {prefix + canonical_name(item): prefix + item.name for prefix, item in below if "canonical" in item.metadata}


def fields_below(config_type: type, prefix: str = "") -> Iterator[tuple[str, Field[Any]]]:
    """The fields of `config_type` and of its blocks, each after the dotted prefix of its key."""
    for item in fields(config_type):
        if item.default_factory is MISSING:
            yield prefix, item
        else:
            yield from fields_below(type(item.default_factory()), f"{prefix}{item.name}.")


def canonical_name(item: Field[Any]) -> str:
    """The name of a field in canonical configs."""
    return str(item.metadata.get("canonical", item.name))


def is_outside_identity(item: Field[Any]) -> bool:
    """Whether a field is not part of a trial's identity: `location()` and `limit()`."""
    return bool(item.metadata.get("location") or item.metadata.get("limit"))


def identity_values(block: Any) -> dict[str, Any]:
    """Nested values of the fields that are part of a trial's identity, by canonical name; unset ones are left out."""
    values: dict[str, Any] = {}
    for item in fields(block):
        value = getattr(block, item.name)
        if value is None or is_outside_identity(item):
            continue
        below = identity_values(value) if is_dataclass(value) else value
        if isinstance(value, tuple) and value and is_dataclass(value[0]):
            below = [identity_values(part) for part in value]
        if below or not item.metadata.get("optional_block"):
            values[canonical_name(item)] = below
    return values
