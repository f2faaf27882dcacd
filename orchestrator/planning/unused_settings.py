"""Unused settings: factors of a sweep that have no effect in a row, such as a temperature without contrast.

MLflow shows the others only. Whether a setting has an effect is tried out: the row computes the same with each other
value that the sweep gives it, or it does not.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from orchestrator.planning.build_config import ResolvedRow
from orchestrator.spec.sweep_spec import SweepSpec
from orchestrator.workload.loaded import LoadedWorkload

__all__ = ["is_unused", "unused_settings"]

MOST_TRIED = 2000
"""Rows times factors of a sweep for which it is tried out, about 0.1 ms each; of a larger grid nothing is known."""


def unused_settings(spec: SweepSpec, rows: Sequence[ResolvedRow]) -> dict[str, tuple[str, ...]]:
    """By label of a row, the dotted keys of its factors without effect, if there are any; `rows` are of `spec`."""
    values: dict[str, list[Any]] = {}
    for row in spec.rows:
        for item in row.settings:
            add(values.setdefault(item.key, []), (item.value,))
    for parameter in spec.search.parameters if spec.search is not None else ():
        add(values.setdefault(parameter.key, []), parameter.bounds())
    if len(rows) * len(values) > MOST_TRIED:
        return {}
    found: dict[str, tuple[str, ...]] = {}
    of_config: dict[str, tuple[str, ...]] = {}  # rows that differ in unused settings only have equal configurations
    for label, resolved in zip((row.label for row in spec.rows), rows, strict=True):
        config = resolved.config
        if (text := repr(config)) not in of_config:
            of_config[text] = tuple(key for key in values if is_unused(config, key, values[key], spec.workload))
        found[label] = of_config[text]
    return {label: keys for label, keys in found.items() if keys}


def add(known: list[Any], values: Iterable[Any]) -> None:
    """Add what is not there yet: a factor of a grid has few values in many rows."""
    known += [value for value in values if value not in known]


def is_unused(config: Any, key: str, values: Iterable[Any], workload: LoadedWorkload) -> bool:
    """Whether the normalised `config` computes the same with each of `values` of setting `key`, one of them another."""
    parts = key.split(".")
    tried = False
    try:
        for value in values:
            other = with_value(config, parts, value)
            if workload.normalised(other) != config:
                return False
            tried = tried or other != config
    except (AttributeError, TypeError, ValueError):  # an option of a plugin, or a value that this row refuses
        return False
    return tried


def with_value(block: Any, parts: Sequence[str], value: Any) -> Any:
    """`block` with `value` at the key with these parts. Raises AttributeError, TypeError, ValueError."""
    name, *rest = parts
    changes: Mapping[str, Any] = {name: with_value(getattr(block, name), rest, value) if rest else value}
    return replace(block, **changes)
