"""NamedPlugin: a plugin as a specification names it; its source is read once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from orchestrator.plugins.source import read_source
from orchestrator.workload.plugin_part import PluginSource

__all__ = ["NamedPlugin"]


@dataclass(frozen=True, kw_only=True)
class NamedPlugin:
    """A file, absolute or relative to the current folder, or an installed module."""

    name: str
    origin: str
    """The place that names it, for messages."""

    @cached_property
    def source(self) -> PluginSource:
        """Its source. Raises PluginError."""
        return read_source(self.name, Path())
