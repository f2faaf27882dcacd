"""A setting: a dotted key of `TrainConfig`, its checked value, and the file and line (or `--set`) it came from."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from functools import cache
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from pydantic import ConfigDict, TypeAdapter, ValidationError

from orchestrator.errors import SpecError
from orchestrator.spec.paths import expanded, is_whole
from orchestrator.spec.renamed_keys import current_key
from orchestrator.spec.yaml_document import Origins, Place, parse_value
from trainer.config import PACKAGED_WEIGHTS, TrainConfig, location_keys

__all__ = [
    "Leaf",
    "Setting",
    "closest",
    "config_leaves",
    "number_type",
    "read_assignment",
    "read_block",
    "read_setting",
    "shown",
    "unknown_key",
]

TEXT = "text"
FIXED_FIELDS = ("seed",)
"""Fields of `TrainConfig` that no setting may name."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Setting:
    """One value for one leaf of `TrainConfig`."""

    key: str
    """`contrast.memory.kind`."""
    value: Any
    """Checked: of the field's type, lists as tuples; a relative path as the user wrote it."""
    origin: str
    """`ablation_memory.yaml:14`, or `--set contrast.weight=0.2`."""

    def resolved(self) -> Any:
        """The value a trial gets: a path of this machine absolute, so that a worker may start anywhere."""
        is_path = self.key in path_keys() and self.value is not None
        if is_path and not (self.key == "model.weights" and self.value in PACKAGED_WEIGHTS):
            return str(expanded(self.value).resolve())
        return self.value


@dataclass(frozen=True, kw_only=True, slots=True)
class Leaf:
    """A settable field of `TrainConfig`."""

    key: str
    annotation: Any
    default: Any

    def check(self, value: Any) -> Any:
        """`value` in the field's type: a whole number is a number, a list a tuple; nothing else is converted.

        Raises ValueError whose text says what is legal.
        """
        candidate = tuple(value) if isinstance(value, list) else value
        try:
            return adapter(self.annotation).validate_python(candidate)
        except ValidationError as error:
            raise ValueError(self.complaint(value)) from error

    def complaint(self, value: Any) -> str:
        """Why `value` cannot stand here, and what can."""
        if options := choices(self.annotation):
            return f"{shown(value)} is not a choice; choose {', '.join(map(str, options))}"
        expected = expectation(self.annotation)
        remedy = "put it in quotes" if expected == TEXT else f"write for example {shown(self.default, quotes=False)}"
        return f"must be {expected}, not {shown(value)}; {remedy}"


@cache
def adapter(annotation: Any) -> TypeAdapter[Any]:
    """Strict checker of a field's type."""
    return TypeAdapter(annotation, config=ConfigDict(strict=True, allow_inf_nan=False))


@cache
def path_keys() -> tuple[str, ...]:
    """Keys whose values are paths."""
    return (*location_keys(TrainConfig), "model.weights")


@cache
def config_leaves() -> Mapping[str, Leaf]:
    """All settable keys, in the order of the classes."""
    return {leaf.key: leaf for leaf in walk(TrainConfig, "") if leaf.key not in FIXED_FIELDS}


def walk(config_type: Any, prefix: str) -> Iterator[Leaf]:
    """Leaves of a config class, depth first."""
    types, default = get_type_hints(config_type), config_type()
    for item in fields(config_type):
        if is_dataclass(types[item.name]):
            yield from walk(types[item.name], f"{prefix}{item.name}.")
        else:
            example = item.metadata.get("implied", getattr(default, item.name))
            yield Leaf(key=prefix + item.name, annotation=types[item.name], default=example)


def choices(annotation: Any) -> tuple[Any, ...]:
    """Legal values of a Literal, which may be optional; empty for any other type."""
    if get_origin(annotation) in (Union, UnionType):
        return next((found for part in get_args(annotation) if (found := choices(part))), ())
    return get_args(annotation) if get_origin(annotation) is Literal else ()


def number_type(annotation: Any) -> type | None:
    """`int` or `float` for the type of a single number, which may be optional; None for any other type."""
    parts = get_args(annotation) if get_origin(annotation) in (Union, UnionType) else (annotation,)
    return next((part for part in parts if part in (int, float)), None)


def expectation(annotation: Any) -> str:
    """A type in words: `a list of 2 whole numbers`."""
    words = {int: "a whole number", float: "a number", str: TEXT, bool: "true or false"}
    if get_origin(annotation) in (Union, UnionType):
        return next(expectation(part) for part in get_args(annotation) if part is not type(None))
    if get_origin(annotation) is tuple:
        parts = get_args(annotation)
        count = "" if parts[-1] is Ellipsis else f"{len(parts)} "
        return f"a list of {count}{words[parts[0]].removeprefix('a ')}s"
    return words[annotation]


def shown(value: Any, *, quotes: bool = True) -> str:
    """A value as YAML writes it: `0.1`, `true`, `[96, 128]`, `'text'`."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return f"[{', '.join(shown(item, quotes=quotes) for item in value)}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key}: {shown(item, quotes=quotes)}' for key, item in value.items())}}}"
    return repr(value) if quotes or not isinstance(value, str) else value


def closest(name: str, names: Sequence[str]) -> str:
    """The remedy for a name that is none of `names`: the one that was probably meant, else all of them."""
    if not names:
        return "there is none to choose"
    close = difflib.get_close_matches(name, names, n=1)
    return f"did you mean {close[0]!r}?" if close else f"choose {', '.join(names)}"


def read_block(values: Mapping[str, Any], origins: Origins, place: Place, problems: list[str]) -> tuple[Setting, ...]:
    """The settings of a block such as a row or a recipe; keys may be dotted, nested or both.

    `place` is where the block stands in its document. Mistakes go to `problems`, one line each.
    """
    found: dict[str, Setting] = {}
    for key, value, here in flatten(values, "", place):
        setting = read_setting(key, value, origins.nearest(*here), problems)
        if setting is None:
            continue
        if key in found:
            problems.append(f"{setting.origin}: {key}: given twice (also at {found[key].origin}); remove one")
        found[key] = setting
    return tuple(found.values())


def flatten(values: Mapping[str, Any], prefix: str, place: Place) -> Iterator[tuple[str, Any, Place]]:
    """Dotted key, value and place of each leaf below a block."""
    for name, value in values.items():
        key, here = prefix + name, (*place, name)
        if isinstance(value, dict) and value and key not in config_leaves():
            yield from flatten(value, f"{key}.", here)
        else:
            yield key, value, here


def read_assignment(text: str, problems: list[str]) -> Setting | None:
    """The setting in `--set key=value`; the value is YAML, or plain text where the key takes text."""
    origin = f"--set {text}"
    given, equals, written = text.partition("=")
    key = current_key(given, origin)
    if not equals or not key or not written:
        problems.append(f"{origin}: not of the form key=value; write for example --set schedule.steps=100")
        return None
    if not is_whole(text):
        problems.append(f"{ascii(origin)[1:-1]}: not text in this system's encoding; write plain characters")
        return None
    leaf = config_leaves().get(key)
    try:
        value = parse_value(written, origin)
        if leaf is not None:
            leaf.check(value)
    except (SpecError, ValueError) as error:
        if leaf is not None and expectation_is_text(leaf):
            value = written
        elif isinstance(error, SpecError):
            problems.extend(error.messages)
            return None
    return read_setting(key, value, origin, problems)


def expectation_is_text(leaf: Leaf) -> bool:
    """Whether any text is legal for the leaf."""
    return not choices(leaf.annotation) and expectation(leaf.annotation) == TEXT


def read_setting(key: str, value: Any, origin: str, problems: list[str]) -> Setting | None:
    """A checked setting; None, and a line in `problems`, when key or value is wrong."""
    leaf = config_leaves().get(key)
    if leaf is None:
        problems.append(f"{origin}: {key}: {unknown_key(key)}")
        return None
    try:
        return Setting(key=key, value=leaf.check(value), origin=origin)
    except ValueError as error:
        problems.append(f"{origin}: {key}: {error}")
        return None


def unknown_key(key: str) -> str:
    """Why `key` names no leaf, and what may have been meant."""
    leaves = tuple(config_leaves())
    if key in FIXED_FIELDS:
        return "a seed is replication, not a setting; use `seeds`"
    if below := [leaf for leaf in leaves if leaf.startswith(f"{key}.")]:
        return f"a block, not a value; set its keys, for example {below[0]}"
    if ":" in key:
        return "unknown key; put a space after the colon"
    parts = key.split(".")
    for tail in (key, parts[-1]):
        if elsewhere := [leaf for leaf in leaves if leaf.endswith(f".{tail}")]:
            return f"unknown key; did you mean {' or '.join(map(repr, elsewhere))}?"
    block = ""
    for part in parts:
        names = list(dict.fromkeys(leaf[len(block) :].split(".")[0] for leaf in leaves if leaf.startswith(block)))
        if not names:
            return f"{block.rstrip('.')} is a value, not a block; remove the part after it"
        if part not in names:
            return f"unknown key; {closest(part, names)}"
        block += f"{part}."
    raise AssertionError(key)
