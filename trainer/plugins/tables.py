"""What a plugin adds to the trainer's tables, checked: every mistake is one line with file and line of the plugin."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass
from difflib import get_close_matches
from types import ModuleType
from typing import Any, get_type_hints

from orchestrator.plugins.error import PluginError
from orchestrator.plugins.places import Places
from orchestrator.plugins.table_style import TABLE_STYLES, has_styles
from orchestrator.workload.field_types import choices, fits, is_supported, shown
from trainer.config import (
    BACKBONE_NAMES,
    AnchorConfig,
    DataConfig,
    EvaluationConfig,
    LossConfig,
    MiningConfig,
    ModelConfig,
)
from trainer.plugins.entry import Entry, MetricEntry

__all__ = ["TABLES", "Table", "read_tables"]

METRIC_NAMES = ("best_miou", "classes", "iou", "mean_accuracy", "miou", "pixel_accuracy")
"""The metrics of a split that every trial has, without `final/` and `val/`."""

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,49}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """A table of the trainer that plugins add entries to."""

    prefix: str
    """Of the keys of its block: `contrast.anchors.`."""
    block: type
    chosen_by: str
    """The field of the block that names an entry."""
    field: str = "plugin"
    """The field of the block that has the `PluginPart`."""
    built_in: tuple[str, ...]
    entry: type[Entry[Any]] = Entry


def names_of(block: type, name: str) -> tuple[str, ...]:
    """The names that a field of the configuration accepts."""
    return choices(get_type_hints(block)[name])


TABLES: Mapping[str, Table] = {
    "ANCHOR_SAMPLERS": Table(
        prefix="contrast.anchors.",
        block=AnchorConfig,
        chosen_by="kind",
        built_in=names_of(AnchorConfig, "kind"),
    ),
    "MINERS": Table(
        prefix="contrast.mining.",
        block=MiningConfig,
        chosen_by="kind",
        built_in=names_of(MiningConfig, "kind"),
    ),
    "LOSSES": Table(prefix="loss.", block=LossConfig, chosen_by="kind", built_in=names_of(LossConfig, "kind")),
    "HEADS": Table(
        prefix="model.",
        block=ModelConfig,
        chosen_by="head",
        field="head_plugin",
        built_in=names_of(ModelConfig, "head"),
    ),
    "BACKBONES": Table(
        prefix="model.", block=ModelConfig, chosen_by="backbone", field="backbone_plugin", built_in=BACKBONE_NAMES
    ),
    "DATASETS": Table(prefix="data.", block=DataConfig, chosen_by="name", built_in=names_of(DataConfig, "name")),
    "METRICS": Table(
        prefix="evaluation.",
        block=EvaluationConfig,
        chosen_by="metrics",
        field="metric_plugins",
        built_in=METRIC_NAMES,
        entry=MetricEntry,
    ),
}
"""The tables by the name that they have in a plugin and in the trainer."""


def read_tables(module: ModuleType, path: str) -> Mapping[str, Mapping[str, Entry[Any]]]:
    """The tables of a plugin that was imported from `path`. Raises PluginError for the first mistake in them.

    One with table styles alone has none.
    """
    place = Places(module, path)
    found: dict[str, Mapping[str, Entry[Any]]] = {}
    for name, value in vars(module).items():
        if name in TABLES and not inspect.ismodule(value):
            found[name] = read_table(name, value, place)
    if not found and not has_styles(module):
        upper = [name for name in vars(module) if name.isupper()]
        similar = [match for name in upper for match in get_close_matches(name, (*TABLES, TABLE_STYLES), n=1)]
        remedy = f"did you mean {similar[0]}?" if similar else f"define one of {', '.join((*TABLES, TABLE_STYLES))}"
        raise PluginError(f"{place.of()}: the plugin has no table; {remedy}")
    return found


def read_table(table: str, value: Any, place: Places) -> Mapping[str, Entry[Any]]:
    """One table, checked."""
    kind = TABLES[table].entry
    example = f'write {table} = {{"my_name": {kind.__name__}(code=...)}}'
    if not isinstance(value, Mapping) or not value:
        raise PluginError(f"{place.of(table)}: {table}: must be a dictionary with an entry; {example}")
    for name, entry in value.items():
        here = f"{place.of(table, name)}: {table}[{name!r}]"
        if not isinstance(name, str) or not NAME.fullmatch(name):
            raise PluginError(f"{here}: must be named with letters, digits, _ - and .; {example}")
        if name in TABLES[table].built_in:
            raise PluginError(f"{here}: the trainer has an entry of this name; rename it")
        if not isinstance(entry, kind):
            raise PluginError(f"{here}: must be of type {kind.__name__}, not {type(entry).__name__}; {example}")
        if not callable(entry.code):
            raise PluginError(f"{here}: code must be a function or a class, not {type(entry.code).__name__}")
        if entry.options is not None:
            check_options(entry.options, TABLES[table], here, place)
        if isinstance(entry, MetricEntry) and entry.direction not in ("up", "down"):
            raise PluginError(f"{here}: direction must be up or down, not {entry.direction!r}")
    return value


def check_options(options: Any, table: Table, here: str, place: Places) -> None:
    """Raise PluginError unless `options` is a dataclass as the trainer's are, and all its defaults are legal."""
    if not isinstance(options, type) or not is_dataclass(options):
        raise PluginError(f"{here}: options must be a dataclass; write @dataclass(frozen=True, kw_only=True)")
    parameters = options.__dataclass_params__  # type: ignore[attr-defined] # types do not know it
    at_class = f"{place.of_class(options)}: {options.__name__}"
    if not parameters.frozen:
        raise PluginError(f"{at_class}: must be frozen; write @dataclass(frozen=True, kw_only=True)")
    for name in vars(options):
        is_field = name in options.__dataclass_fields__ or name.startswith("_")
        if not is_field and isinstance(vars(options)[name], (bool, int, float, str, tuple, list, dict, type(None))):
            where = place.of_class(options, name)
            raise PluginError(f"{where}: {options.__name__}.{name}: has no type; write for example `{name}: int = 3`")
    try:
        types = get_type_hints(options)
    except Exception as error:
        raise PluginError(
            f"{at_class}: a type cannot be resolved ({error}); import it at the top of the file"
        ) from error
    taken = {item.name for item in fields(table.block)}
    for item in fields(options):
        where = f"{place.of_class(options, item.name)}: {options.__name__}.{item.name}"
        annotation = types[item.name]
        if item.name in taken:
            raise PluginError(f"{where}: {table.prefix}{item.name} is a key of the trainer; rename it")
        if not item.kw_only:
            raise PluginError(f"{where}: must be keyword-only; write @dataclass(frozen=True, kw_only=True)")
        if not is_supported(annotation):
            raise PluginError(
                f"{where}: a key cannot have the type {shown(annotation)}; use bool, int, float, str, Literal, or a "
                "tuple of one of them, each with or without None"
            )
        if item.default is MISSING:
            raise PluginError(f"{where}: has no default; write `{item.name}: {shown(annotation)} = ...`")
        if not fits(annotation, item.default):
            raise PluginError(f"{where}: the default {item.default!r} is not of the type {shown(annotation)}")
    try:
        hash(options())
    except Exception as error:
        raise PluginError(f"{at_class}: refuses its own defaults ({error}); give legal defaults") from error
