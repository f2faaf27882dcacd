"""Extension: what the plugins of a sweep add to the configuration of a workload that takes plugins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from orchestrator.workload.metric import Metric
from orchestrator.workload.plugin_part import PluginSource

__all__ = ["Extension", "OptionField"]


@dataclass(frozen=True, kw_only=True, slots=True)
class OptionField:
    """A key that plugins add."""

    key: str
    """`contrast.anchors.width`."""
    annotation: Any
    default: Any
    """Of the first entry that has it."""
    block: type
    """The dataclass that has the field and its docstring."""
    table: str
    entries: tuple[str, ...]
    """The entries of the table that have the option."""


class Extension(Protocol):
    """The loaded plugins of a sweep, which do not contradict each other."""

    def __hash__(self) -> int:
        return object.__hash__(self)  # each is itself, as plugins of equal names may differ

    @property
    def names(self) -> Sequence[tuple[PluginSource, tuple[str, ...]]]:
        """Each plugin, with the names of its entries."""
        ...

    @property
    def choices(self) -> Mapping[str, tuple[str, ...]]:
        """Names of entries by the key that chooses one: `contrast.anchors.kind` -> `("boundary",)`."""
        ...

    @property
    def fields(self) -> Mapping[str, OptionField]:
        """The options of all entries by key."""
        ...

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """The metrics that plugins add to those of the workload."""
        ...

    def parts(self, block: type, values: Mapping[str, Any]) -> dict[str, Any]:
        """The fields of a block of the configuration that hold plugins, from its other `values` by name of the field.

        Raises ValueError `key: message` for options that an entry refuses.
        """
        ...

    def ignored(self, values: Mapping[str, Any]) -> dict[str, str]:
        """Of `values`, which a row sets by dotted key, the options that its entries do not have: key -> the reason."""
        ...
