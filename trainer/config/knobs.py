"""What fields of a config may say of themselves, and the one check they share."""

from __future__ import annotations

from dataclasses import MISSING, field, fields, replace
from typing import Any

__all__ = ["location", "location_keys", "optional", "require", "setting", "unset_implied"]


def location(default: str | None = None) -> Any:
    """A field that says where bytes lie; the identity of a trial holds their digest, not their path."""
    return field(default=default, metadata={"location": True})


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


def location_keys(config_type: type, prefix: str = "") -> tuple[str, ...]:
    """Dotted keys of all fields marked `location()` below `config_type`, for example `("data.root",)`."""
    keys: list[str] = []
    for item in fields(config_type):
        if item.metadata.get("location"):
            keys.append(prefix + item.name)
        elif item.default_factory is not MISSING:
            keys.extend(location_keys(type(item.default_factory()), f"{prefix}{item.name}."))
    return tuple(keys)
