"""Build configs from settings, and report what the trainer refuses at the line that caused it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from functools import cache
from typing import Any, TypeVar, get_type_hints

from orchestrator.errors import SpecError, SpecErrorCollector
from orchestrator.spec.settings import Setting, path_keys, quoted
from orchestrator.workload.extension import Extension
from orchestrator.workload.loaded import LoadedWorkload

__all__ = ["ConfigBuilder", "GivenValues", "ResolvedRow", "SettingSources"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class SettingSources:
    """The settings of a row by dotted key, and where the row itself is written."""

    settings: Mapping[str, Setting]
    row_origin: str
    usual_causes: Mapping[str, str] = field(default_factory=dict)
    """`Extras.usual_causes`."""

    def error(self, key: str, message: str) -> SpecError:
        """A complaint at the origin of `key`, else at that of its usual cause, else at that of the row."""
        cause = self.settings.get(key) or self.settings.get(self.usual_causes.get(key, ""))
        return SpecError(f"{cause.origin if cause else self.row_origin}: {key}: {message}")

    def checked(self, build: Callable[[], T]) -> T:
        """What `build` returns; each message `key: ...` of its ValueError becomes one of a SpecError with the value."""
        try:
            return build()
        except ValueError as error:
            raise SpecError(*(text for item in error.args for text in self.refused(str(item)))) from error

    def refused(self, text: str) -> tuple[str, ...]:
        """A message `key: ...` at its place."""
        key, _, message = text.partition(": ")
        setting = self.settings.get(key)
        if setting is not None and ";" not in message and f"not {quoted(setting.value)}" not in message:
            message = f"{message}; got {quoted(setting.value)}"
        return self.error(key, message).messages


class GivenValues(Mapping[str, Any]):
    """The values of settings by key; a view, because a plan may have ten thousand rows."""

    def __init__(self, settings: Mapping[str, Setting]) -> None:
        self.settings = settings

    def __getitem__(self, key: str) -> Any:
        return self.settings[key].value

    def __iter__(self) -> Iterator[str]:
        return iter(self.settings)

    def __len__(self) -> int:
        return len(self.settings)


@dataclass(frozen=True, slots=True)
class ResolvedRow:
    """A row's normalised config, before seeds are set, and where its values come from."""

    config: Any
    sources: SettingSources


class ConfigBuilder:
    """Builds configs and keeps their blocks: the rows of a sweep differ in few of them."""

    def __init__(self, workload: LoadedWorkload, extension: Extension | None = None) -> None:
        """`extension`: the plugins of the sweep."""
        self.workload = workload
        self.extension = extension
        self._blocks: dict[tuple[str, tuple[tuple[str, Any], ...]], Any] = {}

    def build(self, settings: Mapping[str, Setting], row_origin: str) -> ResolvedRow:
        """The config with `settings`, everything else at its default.

        Raises SpecError with one line per value or combination that the trainer refuses.
        """
        sources = SettingSources(settings, row_origin, self.workload.extras.usual_causes)
        config_type = self.workload.config_type
        types = block_types(config_type)
        values: dict[str, dict[str, Any]] = {name: {} for name in types}
        own: dict[str, Any] = {}
        paths = path_keys()
        for key, setting in settings.items():
            values.get(key.partition(".")[0], own)[key] = setting.resolved() if key in paths else setting.value
        errors = SpecErrorCollector()
        blocks: dict[str, Any] = {}
        for name, block_type in types.items():
            memo = (name, tuple(values[name].items()))
            if memo not in self._blocks:
                with errors:
                    self._blocks[memo] = build_block(block_type, f"{name}.", values[name], sources, self.extension)
            blocks[name] = self._blocks.get(memo)
        errors.raise_any()
        config = sources.checked(lambda: config_type(**blocks, **own))
        return ResolvedRow(self.workload.normalised(config), sources)


def build_block(
    block_type: type,
    prefix: str,
    values: Mapping[str, Any],
    sources: SettingSources,
    extension: Extension | None = None,
) -> Any:
    """A block and the blocks inside it. Raises SpecError with the refusals of all inner blocks, else its own."""
    nested = block_types(block_type)
    given = {
        item.name: values[prefix + item.name]
        for item in fields(block_type)
        if item.name not in nested and prefix + item.name in values
    }
    errors = SpecErrorCollector()
    for name, nested_type in nested.items():
        with errors:
            given[name] = build_block(nested_type, f"{prefix}{name}.", values, sources, extension)
    errors.raise_any()
    if extension is not None:
        below = {key.removeprefix(prefix): value for key, value in values.items() if key.startswith(prefix)}
        given |= sources.checked(lambda: extension.parts(block_type, below))
    return sources.checked(lambda: block_type(**given))


@cache
def block_types(config_type: Any) -> Mapping[str, type]:
    """Fields of a config class that are config classes themselves."""
    types = get_type_hints(config_type)
    return {item.name: types[item.name] for item in fields(config_type) if is_dataclass(types[item.name])}
