"""Loads plugins: each is imported once per process and digest, and its tables for the trainer are checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.plugins.loading import import_module
from orchestrator.plugins.source import read_source
from orchestrator.workload.plugin_part import PluginSource
from trainer.plugins.entry import Entry
from trainer.plugins.tables import read_tables

__all__ = ["Plugin", "load", "read_plugin"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Plugin:
    """A plugin that is loaded, with what it adds to the trainer's tables."""

    source: PluginSource
    tables: Mapping[str, Mapping[str, Entry[Any]]]
    """By name of the table (`trainer.plugins.tables.TABLES`), then by name of the entry."""


def read_plugin(name: str, folder: Path) -> Plugin:
    """Load the plugin `name`: a file, relative to `folder`, or an installed module. Raises PluginError."""
    return load(read_source(name, folder))


LOADED: dict[tuple[str, str], Plugin] = {}
"""The plugins of this process by path and digest."""


def load(source: PluginSource) -> Plugin:
    """The plugin with this source, imported at the first call in this process.

    Raises PluginError if it raises, if its tables are wrong, or if the installed module is another one here.
    """
    key = (source.path, source.digest)
    if key not in LOADED:
        module = import_module(source)
        LOADED[key] = Plugin(source=source, tables=read_tables(module, source.path))
    return LOADED[key]
