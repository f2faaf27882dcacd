"""The rows of a grid: all combinations of levels, some paired (`zip`), left out (`skip`) or conditional (`when`)."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence

from orchestrator.errors import SpecError, SpecErrorCollector
from orchestrator.spec.distributions import holds
from orchestrator.spec.parameters import Parameters, read_parameters, short_names
from orchestrator.spec.rows import MethodRows, RowSpec, baseline_row
from orchestrator.spec.schema import SearchSpace
from orchestrator.spec.settings import Setting, as_yaml, closest, quoted

__all__ = ["MAX_ROWS", "grid_rows"]

MAX_ROWS = 100_000
"""A larger grid is a typo."""
MAX_COMPARED = 10_000_000
"""Combinations times entries of `skip`: about ten seconds."""
NOTHING_SET = "no factor"
"""Label of the combination in which no factor is active."""

Levels = Mapping[str, tuple[Setting, ...]]
Combination = Mapping[str, Setting]


def grid_rows(space: SearchSpace) -> MethodRows:
    """All combinations, the last factor changing fastest, and the constants (`value:`).

    A `baseline:` block becomes an extra first row.
    """
    parameters = read_parameters(space)
    levels, mistakes = parameters.levels, [*parameters.mistakes]
    groups, zip_mistakes = zip_groups(space, levels)
    mistakes += [*zip_mistakes, *skip_mistakes(space, levels)]
    count, origin = math.prod(len(levels[group[0]]) for group in groups), space.origin("parameters")
    kept: list[Combination] = []
    if count > MAX_ROWS:
        mistakes.append(f"{origin}: parameters: {count} combinations, more than {MAX_ROWS}; list fewer values")
    elif count * len(space.skip or ()) > MAX_COMPARED:
        text = f"{len(space.skip or ())} entries for {count} combinations; list fewer values, or fewer entries"
        mistakes.append(f"{space.origin('skip')}: skip: {text}")
    elif levels and count:
        combinations = conditional(combine(groups, levels), parameters)
        kept, without_effect = leave_out(space, combinations, levels)
        mistakes += without_effect
    names = short_names(tuple(levels))
    rows = [
        RowSpec(
            label=", ".join(f"{names[key]}={as_yaml(item.value, quotes=False)}" for key, item in combination.items())
            or NOTHING_SET,
            settings=tuple(combination.values()),
            origin=origin,
        )
        for combination in kept
    ]
    return MethodRows(
        rows=(*baseline_row(space), *rows), constants=tuple(parameters.constants), mistakes=tuple(mistakes)
    )


def zip_groups(space: SearchSpace, levels: Levels) -> tuple[list[tuple[str, ...]], list[str]]:
    """The factors that vary together, most of them alone, and what is wrong with `zip`.

    A group is where its first factor is.
    """
    group_of: dict[str, tuple[str, ...]] = {}
    errors = SpecErrorCollector()
    for position, keys in enumerate(space.zip or ()):
        where = f"{space.origin('zip', position)}: zip.{position}"
        known = tuple(key for key in keys if key in levels)
        errors.messages.extend(
            f"{where}: no factor {quoted(key)}; {closest(key, tuple(levels))}" for key in keys if key not in levels
        )
        with errors:
            if len(keys) < 2:
                raise SpecError(f"{where}: nothing to pair; name two factors or more")
            if twice := [key for key in known if known.count(key) > 1 or key in group_of]:
                raise SpecError(f"{where}: {twice[0]} is paired twice; remove one")
            if len({len(levels[key]) for key in known}) > 1:
                sizes = ", ".join(f"{key} has {len(levels[key])}" for key in known)
                raise SpecError(f"{where}: lists of different lengths ({sizes}); give each the same number of values")
            group_of.update(dict.fromkeys(known, known))
    return list(dict.fromkeys(group_of.get(key, (key,)) for key in levels)), errors.messages


def combine(groups: Sequence[tuple[str, ...]], levels: Levels) -> Iterator[Combination]:
    """All combinations, each by key in the order of `levels`."""
    for parts in itertools.product(*(zip(*(levels[key] for key in group), strict=True) for group in groups)):
        chosen = {item.key: item for part in parts for item in part}
        yield {key: chosen[key] for key in levels}


def conditional(combinations: Iterable[Combination], parameters: Parameters) -> Iterator[Combination]:
    """The combinations without the factors that are inactive in them; equal ones once."""
    conditions = parameters.conditions
    if not conditions:
        yield from combinations
        return
    seen: set[tuple[tuple[str, object], ...]] = set()
    for combination in combinations:
        values: dict[str, object] = {}
        for key in parameters.order:
            if holds(conditions.get(key, {}), values):
                values[key] = combination[key].value
        active = {key: item for key, item in combination.items() if key in values}
        name = tuple((key, item.value) for key, item in active.items())
        if name not in seen:
            seen.add(name)
            yield active


def skip_mistakes(space: SearchSpace, levels: Levels) -> Iterator[str]:
    """What is wrong with the entries of `skip` by themselves."""
    for position, entry in enumerate(space.skip or ()):
        if not entry.settings and not entry.mistakes:
            where = f"{space.origin('skip', position)}: skip.{position}"
            yield f"{where}: skips everything; name a factor and its value, or remove the entry"
        for item in entry.settings:
            if item.key not in levels:
                yield f"{item.origin}: {item.key}: not a factor of this grid; {closest(item.key, tuple(levels))}"


def leave_out(
    space: SearchSpace, combinations: Iterable[Combination], levels: Levels
) -> tuple[list[Combination], list[str]]:
    """The combinations that no entry of `skip` matches, and a mistake for each entry that matches none."""
    entries = {
        position: entry.settings
        for position, entry in enumerate(space.skip or ())
        if entry.settings and not entry.mistakes and all(item.key in levels for item in entry.settings)
    }
    kept: list[Combination] = []
    used: set[int] = set()
    for combination in combinations:
        hits = {
            position
            for position, settings in entries.items()
            if all(item.key in combination and combination[item.key].value == item.value for item in settings)
        }
        used |= hits
        if not hits:
            kept.append(combination)
    mistakes = [
        f"{space.origin('skip', position)}: skip.{position}: matches no combination; correct its values, "
        "or remove the entry"
        for position in entries
        if position not in used
    ]
    if not kept:
        mistakes.append(f"{space.origin('skip')}: skip: every combination is left out; remove an entry")
    return kept, mistakes
