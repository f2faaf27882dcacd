"""The rows of a sweep: listed one by one (ablation) or all combinations of levels (grid)."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.settings import Setting, config_leaves, read_block, read_setting, shown
from orchestrator.yaml_reader import Document

__all__ = ["BASELINE_LABEL", "RowSpec", "ablation_rows", "grid_rows"]

BASELINE_LABEL = "baseline"
"""Label of the extra row that a grid's `baseline:` block makes."""

MAX_ROWS = 100_000
"""A grid beyond this is a slip of the pen."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RowSpec:
    """A row and what it sets."""

    label: str
    settings: tuple[Setting, ...]
    origin: str

    def factors(self) -> dict[str, Any]:
        """Dotted keys and plain values, tuples as lists."""
        return {item.key: list(item.value) if isinstance(item.value, tuple) else item.value for item in self.settings}


def ablation_rows(document: Document, problems: list[str]) -> tuple[RowSpec, ...]:
    """The listed rows; a row without settings is the recipe as it is. Mistakes go to `problems`."""
    listed = document.values.get("rows")
    if not listed:
        origin = document.origins.nearest("rows")
        problems.append(f"{origin}: rows: an ablation needs at least one row; add `LABEL: {{key: value}}`")
        return ()
    return tuple(
        RowSpec(
            label=label,
            settings=read_block(row or {}, document.origins, ("rows", label), problems),
            origin=document.origins["rows", label],
        )
        for label, row in mapping(listed).items()
        if row is None or isinstance(row, dict)
    )


def grid_rows(document: Document, problems: list[str]) -> tuple[tuple[RowSpec, ...], tuple[Setting, ...]]:
    """All combinations, the last factor running fastest, and the constants (`value:`). Mistakes go to `problems`.

    A `baseline:` block becomes an extra first row.
    """
    origin = document.origins.nearest("parameters")
    levels, constants = read_parameters(document, problems)
    given = document.values.get("parameters") or {}
    if not levels and isinstance(given, dict) and len(constants) == len(given):
        problems.append(f"{origin}: parameters: a grid needs a key with `values: [...]`; add one")
    count = math.prod(map(len, levels.values()))
    if count > MAX_ROWS:
        problems.append(f"{origin}: parameters: {count} combinations, more than {MAX_ROWS}; list fewer values")
    if not levels or count > MAX_ROWS:
        return (), ()
    names = short_names(tuple(levels))
    rows = [
        RowSpec(
            label=", ".join(f"{names[item.key]}={shown(item.value, quotes=False)}" for item in combination),
            settings=combination,
            origin=origin,
        )
        for combination in itertools.product(*levels.values())
    ]
    baseline = document.values.get("baseline")
    if isinstance(baseline, dict):
        settings = read_block(baseline, document.origins, ("baseline",), problems)
        rows.insert(0, RowSpec(label=BASELINE_LABEL, settings=settings, origin=document.origins["baseline",]))
    return tuple(rows), tuple(constants)


def read_parameters(document: Document, problems: list[str]) -> tuple[dict[str, list[Setting]], list[Setting]]:
    """The levels of each factor by key, and the constants."""
    levels: dict[str, list[Setting]] = {}
    constants: list[Setting] = []
    for key, choice in mapping(document.values.get("parameters")).items():
        place = ("parameters", key)
        if not isinstance(choice, dict) or choice.keys() - {"values", "value"}:
            continue  # the schema has complained
        if len(choice) != 1:
            problems.append(f"{document.origins[place]}: {key}: give either `values: [...]` or `value: x`")
        elif "value" in choice:
            setting = read_setting(key, choice["value"], document.origins[*place, "value"], problems)
            constants += [setting] if setting else []
        elif isinstance(choice["values"], list):
            levels[key] = read_levels(key, choice["values"], document, problems)
    return levels, constants


def read_levels(key: str, values: list[Any], document: Document, problems: list[str]) -> list[Setting]:
    """The levels of one factor, all different."""
    place = ("parameters", key, "values")
    if not values:
        problems.append(f"{document.origins[place]}: {key}: no values; list at least one")
    found: list[Setting] = []
    for index, value in enumerate(values):
        setting = read_setting(key, value, document.origins[*place, index], problems)
        if setting is None:
            if key not in config_leaves():
                return []  # the key is wrong, once for all its values
            continue
        if any(setting.value == other.value for other in found):
            problems.append(f"{setting.origin}: {key}: {shown(value)} is listed twice; remove one")
        found.append(setting)
    return found


def short_names(keys: Sequence[str]) -> Mapping[str, str]:
    """Last part of each key; the whole key where two would look alike."""
    last = [key.rpartition(".")[2] for key in keys]
    return {key: name if last.count(name) == 1 else key for key, name in zip(keys, last, strict=True)}


def mapping(value: Any) -> Mapping[str, Any]:
    """`value` if it is a block, else an empty one: the schema has complained already."""
    return value if isinstance(value, dict) else {}
