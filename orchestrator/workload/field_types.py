"""Types of the fields of configs and options, which are the types of the keys of search spaces."""

from __future__ import annotations

from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

__all__ = ["choices", "fits", "is_supported", "required", "shown"]

SIMPLE = (bool, int, float, str)


def required(annotation: Any) -> Any:
    """A type without its None; of a union of several, the first."""
    return parts(annotation)[0]


def parts(annotation: Any) -> list[Any]:
    """The types in a union without None; the type itself if it is no union."""
    if get_origin(annotation) not in (Union, UnionType):
        return [annotation]
    return [part for part in get_args(annotation) if part is not type(None)]


def choices(annotation: Any) -> tuple[Any, ...]:
    """Legal values of a Literal, which may be optional; empty for any other type."""
    return get_args(required(annotation)) if get_origin(required(annotation)) is Literal else ()


def is_supported(annotation: Any) -> bool:
    """Whether a key of a search space can have this type."""
    inner, *others = parts(annotation)
    if others:
        return False
    if get_origin(inner) is Literal:
        return all(isinstance(value, SIMPLE) for value in get_args(inner))
    if get_origin(inner) is tuple:
        items = {part for part in get_args(inner) if part is not Ellipsis}
        return len(items) == 1 and items <= set(SIMPLE)
    return inner in SIMPLE


def fits(annotation: Any, value: Any) -> bool:
    """Whether a value is of a supported type; a whole number is a number."""
    inner = required(annotation)
    if value is None:
        return inner is not annotation
    if get_origin(inner) is Literal:
        return any(value == choice and type(value) is type(choice) for choice in get_args(inner))
    if get_origin(inner) is tuple:
        items = get_args(inner)
        if not isinstance(value, tuple) or (items[-1] is not Ellipsis and len(items) != len(value)):
            return False
        return all(fits(items[0], item) for item in value)
    return type(value) is inner or (inner is float and type(value) is int)


def shown(annotation: Any) -> str:
    """A type as it is written."""
    return annotation.__name__ if isinstance(annotation, type) else str(annotation).replace("typing.", "")
