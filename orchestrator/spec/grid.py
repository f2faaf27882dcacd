"""A grid: all combinations of levels, some of them paired (`zip`), left out (`skip`) or conditional (`when`)."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence

from orchestrator.spec.conditions import in_order, read_conditions
from orchestrator.spec.distributions import Conditions, holds
from orchestrator.spec.parameters import read_parameters, short_names
from orchestrator.spec.rows import RowSpec, baseline_row
from orchestrator.spec.settings import Setting, closest, read_block, shown
from orchestrator.spec.yaml_document import Document

__all__ = ["MAX_ROWS", "grid_rows"]

MAX_ROWS = 100_000
"""A grid beyond this is a slip of the pen."""

Combination = Mapping[str, Setting]


def grid_rows(document: Document, problems: list[str]) -> tuple[tuple[RowSpec, ...], tuple[Setting, ...]]:
    """All combinations, the last factor running fastest, and the constants (`value:`). Mistakes go to `problems`.

    A `baseline:` block becomes an extra first row.
    """
    origin = document.origins.nearest("parameters")
    parameters = read_parameters(document, problems)
    levels = parameters.levels
    given = document.values.get("parameters") or {}
    if not levels and isinstance(given, dict) and len(parameters.constants) == len(given):
        problems.append(f"{origin}: parameters: a grid needs a key with `values: [...]`; add one")
    axes = read_axes(document, levels, problems)
    conditions = read_conditions(document, parameters.choices(), problems)
    order = in_order(document, tuple(levels), conditions, problems)
    skipped = read_skipped(document, tuple(levels), problems)
    count = math.prod(map(len, axes))
    if count > MAX_ROWS:
        problems.append(f"{origin}: parameters: {count} combinations, more than {MAX_ROWS}; list fewer values")
    if not levels or count > MAX_ROWS:
        return (), ()
    combinations = conditional(combine(axes, tuple(levels)), conditions, order)
    left = leave_out(combinations, skipped, problems)
    if not left and all(levels.values()):
        problems.append(f"{document.origins.nearest('skip')}: skip: every combination is left out; remove an entry")
    names = short_names(tuple(levels))
    rows = [
        RowSpec(
            label=", ".join(f"{names[key]}={shown(item.value, quotes=False)}" for key, item in combination.items())
            or NOTHING_SET,
            settings=tuple(combination.values()),
            origin=origin,
        )
        for combination in left
    ]
    return (*baseline_row(document, problems), *rows), tuple(parameters.constants)


NOTHING_SET = "no factor"
"""Label of the combination in which no condition holds."""


def read_axes(
    document: Document, levels: Mapping[str, Sequence[Setting]], problems: list[str]
) -> list[tuple[tuple[Setting, ...], ...]]:
    """The independent choices of a grid: each factor by itself, those of a `zip` group together.

    A group stands where its first factor does.
    """
    group_of: dict[str, tuple[str, ...]] = {}
    given = document.values.get("zip")
    for index, keys in enumerate(given if isinstance(given, list) else []):
        here = f"{document.origins['zip', index]}: zip.{index}"
        if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
            continue  # the schema has complained
        known = [key for key in keys if key in levels]
        problems.extend(
            f"{here}: no factor {key!r}; {closest(key, tuple(levels))}" for key in keys if key not in levels
        )
        if len(keys) < 2:
            problems.append(f"{here}: nothing to pair; name two factors or more")
        if twice := [key for key in known if known.count(key) > 1 or key in group_of]:
            problems.append(f"{here}: {twice[0]} is paired twice; remove one")
            continue
        if len({len(levels[key]) for key in known}) > 1:
            sizes = ", ".join(f"{key} has {len(levels[key])}" for key in known)
            problems.append(f"{here}: lists of different length ({sizes}); give each as many values")
            continue
        group_of.update(dict.fromkeys(known, tuple(known)))
    groups = dict.fromkeys(group_of.get(key, (key,)) for key in levels)
    return [tuple(zip(*(levels[key] for key in group), strict=True)) for group in groups]


def combine(axes: Iterable[tuple[tuple[Setting, ...], ...]], keys: Sequence[str]) -> Iterator[Combination]:
    """All combinations, each by key in the order of `keys`."""
    for parts in itertools.product(*axes):
        chosen = {item.key: item for part in parts for item in part}
        yield {key: chosen[key] for key in keys}


def conditional(
    combinations: Iterable[Combination], conditions: Mapping[str, Conditions], order: Sequence[str]
) -> Iterator[Combination]:
    """The combinations without the factors that do not count there; equal ones once."""
    if not conditions:
        yield from combinations
        return
    seen: set[tuple[tuple[str, object], ...]] = set()
    for combination in combinations:
        values: dict[str, object] = {}
        for key in order:
            if holds(conditions.get(key, {}), values):
                values[key] = combination[key].value
        left = {key: item for key, item in combination.items() if key in values}
        name = tuple((key, item.value) for key, item in left.items())
        if name not in seen:
            seen.add(name)
            yield left


def read_skipped(document: Document, keys: Sequence[str], problems: list[str]) -> list[tuple[str, tuple[Setting, ...]]]:
    """Where each entry of `skip` stands, and what a combination must have to be left out by it."""
    found: list[tuple[str, tuple[Setting, ...]]] = []
    given = document.values.get("skip")
    for index, entry in enumerate(given if isinstance(given, list) else []):
        if not isinstance(entry, dict):
            continue  # the schema has complained
        here = f"{document.origins['skip', index]}: skip.{index}"
        before = len(problems)
        settings = read_block(entry, document.origins, ("skip", index), problems)
        if not entry:
            problems.append(f"{here}: skips everything; name a factor and its value, or remove the entry")
        problems.extend(
            f"{item.origin}: {item.key}: no factor of this grid; {closest(item.key, keys)}"
            for item in settings
            if item.key not in keys
        )
        if len(problems) == before:
            found.append((here, settings))
    return found


def leave_out(
    combinations: Iterable[Combination], skipped: Sequence[tuple[str, tuple[Setting, ...]]], problems: list[str]
) -> list[Combination]:
    """The combinations that no entry of `skip` names; an entry that names none is a mistake."""
    left: list[Combination] = []
    used: set[int] = set()
    for combination in combinations:
        hits = {
            index
            for index, (_, settings) in enumerate(skipped)
            if all(item.key in combination and combination[item.key].value == item.value for item in settings)
        }
        used |= hits
        if not hits:
            left.append(combination)
    problems.extend(
        f"{here}: matches no combination; correct its values, or remove the entry"
        for index, (here, _) in enumerate(skipped)
        if index not in used
    )
    return left
