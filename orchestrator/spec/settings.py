"""A setting: a dotted key of a config, its checked value, and the file and line (or `--set`) that it comes from."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, fields, is_dataclass, replace
from functools import cache, lru_cache
from typing import Any, Literal, get_args, get_origin, get_type_hints

from pydantic import ConfigDict, TypeAdapter, ValidationError

from orchestrator.errors import LISTED, SpecError, SpecErrorCollector, shortened
from orchestrator.spec.paths import expanded, is_encodable
from orchestrator.spec.renamed_keys import current_key
from orchestrator.spec.workload_in_use import workload_in_use
from orchestrator.spec.yaml_document import Block, parse_value
from orchestrator.workload.extension import Extension
from orchestrator.workload.field_types import choices, required
from orchestrator.workload.fields import file_keys, location_keys
from orchestrator.workload.plugin_part import is_plugin_part

__all__ = [
    "Leaf",
    "Setting",
    "SettingsBlock",
    "adapter",
    "as_yaml",
    "closest",
    "config_leaves",
    "extended_by",
    "number_type",
    "path_keys",
    "quoted",
    "read_assignment",
    "read_block",
    "read_list",
    "read_setting",
    "unknown_key",
]

TEXT = "text"
MOST_COMPARED = 1000
"""Names among which a similar one is looked for; it takes a millisecond per hundred."""
NOT_SETTABLE = ("seed",)
"""Fields of a config that no setting may name."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Setting:
    """One value for one leaf of a config."""

    key: str
    """`contrast.memory.kind`."""
    value: Any
    """Checked: of the field's type, lists as tuples; a relative path as the user wrote it."""
    origin: str
    """`ablation_memory.yaml:14`, or `--set contrast.weight=0.2`."""

    def resolved(self) -> Any:
        """The value a trial gets: a path on this machine is made absolute, so that a worker may start anywhere."""
        return str(expanded(self.value).resolve()) if self.is_path else self.value

    @property
    def is_path(self) -> bool:
        """Whether the value is the path of a file or a folder, and no name that may stand in its place."""
        names = file_keys(workload_in_use().config_type).get(self.key, ())
        return self.key in path_keys() and self.value is not None and self.value not in names


@dataclass(frozen=True, kw_only=True, slots=True)
class SettingsBlock:
    """The settings of a row, a recipe, a component ...: those that are right, and what is wrong with the others."""

    settings: tuple[Setting, ...] = ()
    mistakes: tuple[str, ...] = ()
    """One line each, with file and line."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Leaf:
    """A field of a config that can be set."""

    key: str
    annotation: Any
    default: Any
    block: type
    """The config class that has the field."""

    def check(self, value: Any) -> Any:
        """`value` in the field's type: a whole number is a number, a list a tuple; nothing else is converted.

        Raises ValueError whose text says what is legal.
        """
        candidate = tuple(value) if isinstance(value, list) else value
        try:
            return adapter(self.annotation).validate_python(candidate)
        except ValidationError as error:
            raise ValueError(self.mistake(value)) from error

    def mistake(self, value: Any) -> str:
        """Why `value` is not legal, and what is."""
        if options := choices(self.annotation):
            return f"{quoted(value)} is not a choice; choose {', '.join(map(str, options))}"
        expected = expectation(self.annotation)
        remedy = "put it in quotes" if expected == TEXT else f"write for example {as_yaml(self.default, quotes=False)}"
        return f"must be {expected}, not {quoted(value)}; {remedy}"


@cache
def adapter(annotation: Any) -> TypeAdapter[Any]:
    """Strict validator for a field's type."""
    return TypeAdapter(annotation, config=ConfigDict(strict=True, allow_inf_nan=False))


def path_keys() -> tuple[str, ...]:
    """Keys of the workload in use whose values are paths."""
    config_type = workload_in_use().config_type
    return (*location_keys(config_type), *file_keys(config_type))


def config_leaves() -> Mapping[str, Leaf]:
    """All leaves of the workload in use that can be set, by key; then those of plugins (`extended_by`)."""
    return leaves_with(workload_in_use().config_type, PLUGINS.get())


PLUGINS: ContextVar[Extension | None] = ContextVar("plugins", default=None)
"""The plugins of the specification that is read, planned or extended by trials at the moment."""


@contextmanager
def extended_by(extension: Extension | None) -> Iterator[None]:
    """In the body, keys and names of entries of these plugins are legal as well."""
    token = PLUGINS.set(extension)
    try:
        yield
    finally:
        PLUGINS.reset(token)


@cache
def leaves_of(config_type: Any) -> Mapping[str, Leaf]:
    """All leaves of a config class that can be set, by key."""
    return {leaf.key: leaf for leaf in walk(config_type, "") if leaf.key not in NOT_SETTABLE}


@lru_cache(maxsize=8)
def leaves_with(config_type: Any, extension: Extension | None) -> Mapping[str, Leaf]:
    """The leaves of a config class and of plugins."""
    if extension is None:
        return leaves_of(config_type)
    found = dict(leaves_of(config_type))
    for key, names in extension.choices.items():
        if listed := choices(found[key].annotation):
            also: Any = Literal[(*listed, *names)]
            is_optional = type(None) in get_args(found[key].annotation)
            found[key] = replace(found[key], annotation=also | None if is_optional else also)
    for key, item in extension.fields.items():
        found[key] = Leaf(key=key, annotation=item.annotation, default=item.default, block=item.block)
    return found


def walk(config_type: Any, prefix: str) -> Iterator[Leaf]:
    """Leaves of a config class, depth first."""
    types, default = get_type_hints(config_type), config_type()
    for item in fields(config_type):
        if is_plugin_part(item):
            continue
        if is_dataclass(types[item.name]):
            yield from walk(types[item.name], f"{prefix}{item.name}.")
        else:
            example = item.metadata.get("implied", getattr(default, item.name))
            yield Leaf(key=prefix + item.name, annotation=types[item.name], default=example, block=config_type)


def number_type(annotation: Any) -> type | None:
    """`int` or `float` for the type of a single number, which may be optional; None for any other type."""
    return next((part for part in (int, float) if part is required(annotation)), None)


def expectation(annotation: Any) -> str:
    """A type in words: `a list of 2 whole numbers`."""
    words = {int: "a whole number", float: "a number", str: TEXT, bool: "true or false"}
    expected = required(annotation)
    if get_origin(expected) is not tuple:
        return words[expected]
    parts = get_args(expected)
    count = "" if parts[-1] is Ellipsis else f"{len(parts)} "
    return f"a list of {count}{words[parts[0]].removeprefix('a ')}s"


def as_yaml(value: Any, *, quotes: bool = True) -> str:
    """A value as YAML writes it: `0.1`, `true`, `[96, 128]`, `'text'`; text without quotes where `quotes` is False."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return f"[{', '.join(as_yaml(item, quotes=quotes) for item in value)}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key}: {as_yaml(item, quotes=quotes)}' for key, item in value.items())}}}"
    return repr(value) if quotes or not isinstance(value, str) else value


def quoted(value: Any) -> str:
    """A value in a message: as YAML writes it, without its middle if it is long."""
    return shortened(as_yaml(value))


def closest(name: str, names: Sequence[str]) -> str:
    """The remedy for a name that is not among `names`: the one that was probably meant, else all of them, or twenty."""
    if not names:
        return "there is none to choose"
    similar = difflib.get_close_matches(name, names, n=1) if len(names) <= MOST_COMPARED else []
    if similar:
        return f"did you mean {quoted(similar[0])}?"
    more = f" or one of {len(names) - LISTED} more" if len(names) > LISTED else ""
    return f"choose {', '.join(map(shortened, names[:LISTED]))}{more}"


def read_block(block: Block) -> SettingsBlock:
    """The settings in a block such as a row or a recipe; keys may be dotted, nested or both."""
    found: dict[str, Setting] = {}
    errors = SpecErrorCollector()
    for key, value, origin in flatten(block, ""):
        with errors:
            setting = read_setting(key, value, origin)
            first, found[setting.key] = found.get(setting.key), setting
            if first is not None:
                raise SpecError(f"{origin}: {key}: given twice (also at {first.origin}); remove one")
    return SettingsBlock(settings=tuple(found.values()), mistakes=tuple(errors.messages))


def flatten(block: Block, prefix: str) -> Iterator[tuple[str, Any, str]]:
    """Dotted key, value and origin of each leaf in a block."""
    for name, value in block.items():
        key = prefix + name
        if isinstance(value, Block) and value and key not in config_leaves():
            yield from flatten(value, f"{key}.")
        else:
            yield key, value, block.origins[name]


def read_list(key: str, values: Sequence[Any], origin: Callable[..., str]) -> SettingsBlock:
    """A setting of `key` for each of `values`, which must differ; `origin` says where a position in `values` is.

    The values of a factor of a grid, for example.
    """
    found: dict[Any, Setting] = {}
    errors = SpecErrorCollector()
    if not values:
        errors.messages.append(f"{origin()}: {key}: no values; list at least one")
    for position, value in enumerate(values):
        with errors:
            setting = read_setting(key, value, origin(position))
            if setting.value in found:
                raise SpecError(f"{setting.origin}: {key}: {quoted(value)} is listed twice; remove one")
            found[setting.value] = setting
        if key not in config_leaves():
            break  # the key is wrong, once for all its values
    return SettingsBlock(settings=tuple(found.values()), mistakes=tuple(errors.messages))


def read_assignment(text: str) -> Setting:
    """The setting in `--set key=value`; the value is YAML, or plain text where the key takes text.

    Raises SpecError.
    """
    origin = f"--set {shortened(text)}"
    given, equals, written = text.partition("=")
    key = current_key(given, origin)
    if not equals or not key or not written:
        raise SpecError(f"{origin}: not of the form key=value; write for example --set schedule.steps=100")
    if not is_encodable(text):
        raise SpecError(f"{ascii(origin)[1:-1]}: not text in this system's encoding; write plain characters")
    leaf = config_leaves().get(key)
    takes_text = leaf is not None and not choices(leaf.annotation) and expectation(leaf.annotation) == TEXT
    try:
        return read_setting(key, parse_value(written, origin), origin)
    except SpecError:
        if takes_text:
            return read_setting(key, written, origin)
        raise


def read_setting(key: str, value: Any, origin: str) -> Setting:
    """A checked setting. Raises SpecError when the key or the value is wrong."""
    leaf = config_leaves().get(key)
    if leaf is None:
        raise SpecError(f"{origin}: {key}: {unknown_key(key)}")
    try:
        return Setting(key=key, value=leaf.check(value), origin=origin)
    except ValueError as error:
        raise SpecError(f"{origin}: {key}: {error}") from error


def unknown_key(key: str) -> str:
    """Why `key` is not the key of a setting, and what may have been meant."""
    leaves = tuple(config_leaves())
    if key in NOT_SETTABLE:
        return "a seed repeats a row and is not a setting; use `seeds`"
    if below := [leaf for leaf in leaves if leaf.startswith(f"{key}.")]:
        return f"a block, not a value; set a key in it, for example {below[0]}"
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
