"""What fields of a config may say of themselves, and the one check they share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, Field, field, fields, replace
from typing import Any

__all__ = [
    "is_outside_identity",
    "keys_outside_identity",
    "limit",
    "location",
    "location_keys",
    "optional",
    "require",
    "setting",
    "unset_implied",
]


def location(default: str | None = None) -> Any:
    """A field that says where bytes lie; the identity of a trial holds their digest, not their path."""
    return field(default=default, metadata={"location": True})


def limit() -> Any:
    """A knob that may forbid a trial but changes nothing of what it computes: no part of its identity."""
    return field(default=None, metadata={"limit": True})


def optional(implied: Any) -> Any:
    """A knob that may be left unset, which means `implied`; set to that value it is the same computation."""
    return field(default=None, metadata={"implied": implied})


def setting(block: Any, name: str) -> Any:
    """The value of a knob, or what it implies where it is not set."""
    value = getattr(block, name)
    return block.__dataclass_fields__[name].metadata.get("implied") if value is None else value


def unset_implied(block: Any) -> Any:
    """`block` with every knob that says what it implies anyway left unset."""
    knobs = [item for item in fields(block) if "implied" in item.metadata]
    idle = {item.name: None for item in knobs if getattr(block, item.name) == item.metadata["implied"]}
    return replace(block, **idle)


def require(condition: bool, key: str, message: str) -> None:
    """Raise ValueError `key: message` unless `condition` holds; the reader of YAML adds file and line."""
    if not condition:
        raise ValueError(f"{key}: {message}")


def location_keys(config_type: type) -> tuple[str, ...]:
    """Dotted keys of all fields marked `location()` below `config_type`, for example `("data.root",)`."""
    return marked_keys(config_type, lambda item: bool(item.metadata.get("location")))


def keys_outside_identity(config_type: type) -> tuple[str, ...]:
    """Dotted keys of all fields that are no part of a trial's identity: those of `location()` and `limit()`."""
    return marked_keys(config_type, is_outside_identity)


def is_outside_identity(item: Field[Any]) -> bool:
    """Whether a field is no part of a trial's identity."""
    return bool(item.metadata.get("location") or item.metadata.get("limit"))


def marked_keys(config_type: type, is_marked: Callable[[Field[Any]], bool], prefix: str = "") -> tuple[str, ...]:
    """Dotted keys of the fields below `config_type` that are marked."""
    keys: list[str] = []
    for item in fields(config_type):
        if is_marked(item):
            keys.append(prefix + item.name)
        elif item.default_factory is not MISSING:
            keys.extend(marked_keys(type(item.default_factory()), is_marked, f"{prefix}{item.name}."))
    return tuple(keys)
