"""`LoadedPlugins`: what the plugins of a sweep add to the configuration: names of entries, keys for their options."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, get_type_hints

from orchestrator.machine.one_line import message_of
from orchestrator.plugins.error import PluginError
from orchestrator.workload import Metric
from orchestrator.workload.extension import Extension, OptionField
from orchestrator.workload.plugin_part import PluginPart, PluginSource
from trainer.plugins.entry import Entry, MetricEntry
from trainer.plugins.loading import Plugin, load
from trainer.plugins.tables import TABLES

__all__ = ["LoadedPlugins", "with_plugin"]


@dataclass(frozen=True, eq=False)
class LoadedPlugins(Extension):
    """Loaded plugins that do not contradict each other. Raises PluginError for two that do."""

    plugins: tuple[Plugin, ...] = ()

    def __post_init__(self) -> None:
        owner: dict[tuple[str, str], str] = {}
        for plugin, table, name, _ in self.entries():
            path = plugin.source.path
            first = owner.setdefault((table, name), path)
            if first != path:
                raise PluginError(f"{path}:1: {table}[{name!r}]: {first} has an entry of this name; rename one of them")
        _ = self.fields  # raises for options of one name and several types

    def entries(self) -> Iterator[tuple[Plugin, str, str, Entry[Any]]]:
        """Plugin, table, name and entry of all entries."""
        for plugin in self.plugins:
            for table, entries in plugin.tables.items():
                for name, entry in entries.items():
                    yield plugin, table, name, entry

    @property
    def names(self) -> tuple[tuple[PluginSource, tuple[str, ...]], ...]:
        """Each plugin, with the names of its entries."""
        return tuple(
            (plugin.source, tuple(name for entries in plugin.tables.values() for name in entries))
            for plugin in self.plugins
        )

    @cached_property
    def choices(self) -> Mapping[str, tuple[str, ...]]:
        """Names of entries by the key that chooses one: `contrast.anchors.kind` -> `("boundary",)`."""
        found: dict[str, list[str]] = {}
        for _, table, name, _ in self.entries():
            found.setdefault(TABLES[table].prefix + TABLES[table].chosen_by, []).append(name)
        return {key: tuple(names) for key, names in found.items()}

    @cached_property
    def fields(self) -> Mapping[str, OptionField]:
        """The options of all entries by key; entries of one table may share a key if its type is the same."""
        found: dict[str, OptionField] = {}
        for plugin, table, name, entry in self.entries():
            if entry.options is None:
                continue
            types = get_type_hints(entry.options)
            for item in fields(entry.options):
                key, annotation = TABLES[table].prefix + item.name, types[item.name]
                first = found.get(key)
                if first is not None and (first.table != table or first.annotation != annotation):
                    raise PluginError(
                        f"{plugin.source.path}:1: {table}[{name!r}]: its option {key} is also one of "
                        f"{first.table}[{first.entries[0]!r}], of another table or type; rename one of them"
                    )
                names = (*(first.entries if first else ()), name)
                found[key] = OptionField(
                    key=key,
                    annotation=annotation,
                    default=item.default if first is None else first.default,
                    block=entry.options if first is None else first.block,
                    table=table,
                    entries=names,
                )
        return found

    @cached_property
    def metrics(self) -> tuple[Metric, ...]:
        """How tables show the metrics of the plugins, of the test split and of the validation split."""
        found = [(name, entry) for _, _, name, entry in self.entries() if isinstance(entry, MetricEntry)]
        return tuple(
            Metric(
                name=f"{split}/{name}",
                title=f"{'Val ' if split == 'val' else ''}{entry.title or name}",
                unit=entry.unit,
                direction="down" if entry.direction == "down" else "up",
                decimals=2 if entry.unit == "%" else 4,
                ranked=True,
            )
            for name, entry in found
            for split in ("final", "val")
        )

    def parts(self, block: type, values: Mapping[str, Any]) -> dict[str, Any]:
        """The fields of a block of the configuration that hold plugins, from its other `values` by name of the field.

        `values` are those that are given, and options of plugins among them. Options of entries that are not chosen are
        left out, as settings without effect are. Raises ValueError `key: message` for options that an entry refuses.
        """
        found: dict[str, Any] = {}
        for name, table in TABLES.items():
            if table.block is not block:
                continue
            default = next(item.default for item in fields(block) if item.name == table.chosen_by)
            given = values.get(table.chosen_by, default)
            wanted = given if isinstance(given, tuple) else (given,)
            parts = [part for item in wanted if (part := self.part(name, item, values)) is not None]
            if parts:
                found[table.field] = tuple(parts) if isinstance(given, tuple) else parts[0]
        return found

    def part(self, table: str, name: Any, values: Mapping[str, Any]) -> PluginPart | None:
        """The part for the entry `name` of `table`, if a plugin has it."""
        for plugin, of_table, entry_name, entry in self.entries():
            if (of_table, entry_name) == (table, name):
                given = [] if entry.options is None else fields(entry.options)
                options = tuple((item.name, values.get(item.name, item.default)) for item in given)
                check_options(entry, TABLES[table].prefix, dict(options))
                return PluginPart(source=plugin.source, table=table, name=name, options=options)
        return None

    def ignored(self, values: Mapping[str, Any]) -> dict[str, str]:
        """Of `values`, which a row sets by dotted key, the options that its entries do not have: key -> the reason."""
        found: dict[str, str] = {}
        for key, option in self.fields.items():
            by = TABLES[option.table].prefix + TABLES[option.table].chosen_by
            chosen = values.get(by)
            wanted = chosen if isinstance(chosen, tuple) else (chosen,)
            if key in values and not set(wanted) & set(option.entries):
                found[key] = f"only {by}: {' or '.join(option.entries)} has this option"
        return found


def check_options(entry: Entry[Any], prefix: str, values: Mapping[str, Any]) -> None:
    """Raise ValueError `key: message` if the options refuse their values, which they do by raising ValueError."""
    if entry.options is None:
        return
    try:
        entry.options(**values)
    except ValueError as error:
        text = message_of(error)
        name, colon, message = text.partition(": ")
        named = colon and name.removeprefix(prefix) in values
        first = next(iter(values))
        raise ValueError(
            f"{prefix}{name.removeprefix(prefix)}: {message}" if named else f"{prefix}{first}: {text}"
        ) from error


def with_plugin(source: PluginSource, others: Extension | None) -> LoadedPlugins:
    """A plugin with those that were loaded before.

    Raises PluginError.
    """
    known = others.plugins if isinstance(others, LoadedPlugins) else ()
    plugin = load(source)
    if not plugin.tables or any(other.source.path == plugin.source.path for other in known):
        return LoadedPlugins(known)
    return LoadedPlugins((*known, plugin))
