"""What a block of the configuration says of a plugin: which source code, and the options of the entry that it uses.

Plain values only, so a configuration is pickled, compared and hashed without importing the plugin. The source text is
part of it, so that it reaches every process that trains the trial; only its digest is part of the identity.
"""

from __future__ import annotations

from dataclasses import Field, dataclass, field
from typing import Any

__all__ = ["PluginPart", "PluginSource", "is_plugin_part", "plugin_part"]


@dataclass(frozen=True, kw_only=True, slots=True)
class PluginSource:
    """The source code of a plugin. Sources of equal digest are equal."""

    digest: str
    """Of the syntax trees of its files, without comments and docstrings (`orchestrator.plugins.source`)."""
    path: str = field(compare=False, metadata={"location": True})
    """The file, absolute, or the name of an installed module; for messages and tracebacks."""
    files: tuple[tuple[str, str], ...] = field(default=(), compare=False, repr=False, metadata={"location": True})
    """Name, relative to the folder of the plugin, and text of the plugin's file and of those beside it that it imports;
    none for an installed module, which every node must have."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PluginPart:
    """An entry of a plugin's table, as a block of the configuration uses it."""

    source: PluginSource
    table: str
    """`ANCHOR_SAMPLERS`."""
    name: str
    """Key of the table."""
    options: tuple[tuple[str, Any], ...] = ()
    """Name and value of each option, in the order of their fields."""

    def canonical(self, field_name: str) -> dict[str, Any]:
        """Its part of a canonical configuration, by the end of the key: its options, and the digest of its source.

        `field_name` is that of the field of the block: `plugin`, or `head_plugin` where a block can have several.
        """
        plain = {name: list(value) if isinstance(value, tuple) else value for name, value in self.options}
        return {**plain, field_name: self.source.digest}


def plugin_part(table: str, chosen_by: str) -> Any:
    """A field for the entry of a plugin's `table` that the field `chosen_by` of the same block names.

    None for an entry of the trainer's own table, so it is part of the identity of trials with a plugin only. It cannot
    be set by key: whoever builds the configuration sets it (`trainer.plugins.options`).
    """
    return field(default=None, metadata={"plugin_table": table, "chosen_by": chosen_by})


def is_plugin_part(item: Field[Any]) -> bool:
    """Whether a field is one of `plugin_part`."""
    return "plugin_table" in item.metadata
