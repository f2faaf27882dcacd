"""Typed values: builds a frozen dataclass from plain JSON values and names the field that has a wrong type."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from enum import Enum
from functools import cache
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

__all__ = ["build"]

T = TypeVar("T")
Reader = Callable[[Any], Any]
"""From a JSON value to that of a field; raises ValueError, whose text names the place and what is wrong there."""

WORDS = {
    bool: "true or false",
    dict: "an object",
    float: "a number",
    int: "an integer",
    list: "a list",
    NoneType: "null",
    str: "text",
}
"""Types as messages name them."""


def build(kind: type[T], values: Mapping[str, Any]) -> T:
    """An instance of the dataclass `kind`; fields that `values` lacks have their defaults.

    Nothing is converted, except lists to tuples, and texts to members of an enumeration. Raises ValueError for a value
    of another type than the field, a missing and an unknown field.
    """
    reader: Callable[[Any], T] = reader_of(kind)  # type: ignore[arg-type] # mypy takes no class for hashable
    return reader(values)


@cache
def reader_of(annotation: Any) -> Reader:
    """The reader of values of a type."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if annotation is Any:
        return lambda value: value
    if is_dataclass(annotation):
        return dataclass_reader(annotation)
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return annotation
    if annotation is float:
        return number
    if isinstance(annotation, type) and annotation in WORDS:
        return lambda value: value if type(value) is annotation else refuse(value, annotation)
    if origin in (Union, UnionType):
        (some,) = (item for item in arguments if item is not NoneType)
        read = reader_of(some)
        return lambda value: None if value is None else read(value)
    if origin is Literal:
        return lambda value: value if value in arguments else refuse_choice(value, arguments)
    if origin is tuple:
        return tuple_reader(arguments)
    if origin is Mapping and arguments[0] is str:
        return mapping_reader(arguments[1])
    raise TypeError(f"{annotation}: a record cannot have a field of this type")


def number(value: Any) -> Any:
    """A number; an integer stays one, as long as it can be a float."""
    if type(value) is float:
        return value
    if type(value) is not int:
        refuse(value, float)
    try:
        float(value)
    except OverflowError as error:
        raise ValueError("an integer that is too large for a number") from error
    return value


def dataclass_reader(kind: Any) -> Reader:
    """The reader of a dataclass."""
    types = get_type_hints(kind)
    readers = {item.name: reader_of(types[item.name]) for item in fields(kind) if item.init}
    required = {item.name for item in fields(kind) if item.default is MISSING and item.default_factory is MISSING}
    plain = {name: types[name] for name in readers if types[name] in (bool, int, str)}  # read without a call

    def read(values: Any) -> Any:
        if type(values) is not dict:
            refuse(values, dict)
        found = {}
        for name, value in values.items():
            if type(value) is plain.get(name):
                found[name] = value
                continue
            reader = readers.get(name)
            if reader is None:
                raise ValueError(f"{name}: unknown key")
            try:
                found[name] = reader(value)
            except ValueError as error:
                raise ValueError(f"{name}: {error}") from error
        if len(found) < len(readers) and (missing := required - found.keys()):
            raise ValueError(f"{sorted(missing)[0]}: missing")
        return kind(**found)

    return read


def mapping_reader(kind: Any) -> Reader:
    """The reader of an object with values of one type."""
    read = reader_of(kind)
    plain = {kind} if kind in (bool, float, int, str) else set()

    def read_mapping(values: Any) -> Any:
        if type(values) is not dict:
            refuse(values, dict)
        if set(map(type, values.values())) <= plain:
            return values
        found = {}
        for name, value in values.items():
            try:
                found[name] = read(value)
            except ValueError as error:
                raise ValueError(f"{name}: {error}") from error
        return found

    return read_mapping


def tuple_reader(arguments: tuple[Any, ...]) -> Reader:
    """The reader of a list as a tuple: of any length (`tuple[int, ...]`) or of a fixed one."""
    repeated = arguments[-1] is Ellipsis
    readers = [reader_of(item) for item in (arguments[:1] if repeated else arguments)]

    def read(values: Any) -> Any:
        if type(values) not in (list, tuple):
            refuse(values, list)
        if not repeated and len(values) != len(readers):
            raise ValueError(f"{len(values)} values instead of {len(readers)}")
        found = []
        for place, value in enumerate(values):
            try:
                found.append(readers[0 if repeated else place](value))
            except ValueError as error:
                raise ValueError(f"[{place}]: {error}") from error
        return tuple(found)

    return read


def refuse(value: Any, wanted: Any) -> Any:
    """Raise ValueError for a value of another type."""
    shown = repr(value) if type(value) in (bool, float, int, str) else ""
    shown = f" {shown[:40]}" if shown else ""
    raise ValueError(f"{WORDS.get(type(value), type(value).__name__)}{shown} instead of {WORDS[wanted]}")


def refuse_choice(value: Any, choices: tuple[Any, ...]) -> Any:
    """Raise ValueError for a value that is none of the choices."""
    raise ValueError(f"{str(value)[:40]!r} is not one of {', '.join(map(str, choices))}")
