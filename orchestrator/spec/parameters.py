"""`parameters` and `when`: the levels, constants, ranges and conditions of a grid or a search."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from graphlib import CycleError, TopologicalSorter
from typing import Any

from orchestrator.errors import SpecError, SpecErrorCollector
from orchestrator.spec.distributions import Conditions, Distribution, RangeKind
from orchestrator.spec.schema import Parameter, SearchSpace
from orchestrator.spec.settings import (
    Setting,
    closest,
    config_leaves,
    number_type,
    quoted,
    read_list,
    read_setting,
    unknown_key,
)

__all__ = ["Parameters", "read_parameters", "short_names"]

LISTED = frozenset({"values"})
CONSTANT = frozenset({"value"})
RANGE = frozenset({"min", "max", "distribution", "step"})
KINDS: Mapping[type, tuple[RangeKind, ...]] = {
    float: ("uniform", "log_uniform"),
    int: ("int_uniform", "int_log_uniform"),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Parameters:
    """What `parameters` and `when` say, by dotted key, and what is wrong in them."""

    levels: dict[str, tuple[Setting, ...]] = field(default_factory=dict)
    """The listed values of each factor."""
    ranges: dict[str, Distribution] = field(default_factory=dict)
    """Distributions of numbers, only where the method draws values."""
    constants: list[Setting] = field(default_factory=list)
    conditions: dict[str, Conditions] = field(default_factory=dict)
    """Of each factor and range that has some."""
    order: tuple[str, ...] = ()
    """Keys of all levels and ranges: each after those that its conditions depend on, else in the order of the file."""
    mistakes: tuple[str, ...] = ()
    """One line each."""


def read_parameters(space: SearchSpace) -> Parameters:
    """The parameters of a grid or a search."""
    found = Parameters()
    errors = SpecErrorCollector()
    given, is_search = space.parameters or {}, space.method != "grid"
    for key, parameter in given.items():
        names, here = parameter.given(), f"{space.origin('parameters', key)}: {key}"
        is_complete = space.is_complete("parameters", key)
        with errors:
            if names == CONSTANT:
                found.constants.append(read_setting(key, parameter.value, space.origin("parameters", key, "value")))
            elif names == LISTED:
                origin = partial(space.origin, "parameters", key, "values")
                levels = read_list(key, parameter.values or (), origin)
                found.levels[key] = levels.settings
                errors.messages.extend(levels.mistakes)
            elif names and names <= RANGE and is_search:
                if is_complete:
                    found.ranges[key] = read_range(key, parameter, space)
            elif names and names <= RANGE:
                text = "a grid needs `values: [...]`; list them, or draw them with `method: random` or `method: tpe`"
                raise SpecError(f"{here}: {text}")
            elif names or is_complete:
                forms = "`values: [...]`" + (", `value: x` or `min: a, max: b`" if is_search else " or `value: x`")
                raise SpecError(f"{here}: not one of the forms of a parameter; write {forms}")
    choices = {
        key: tuple(item.value for item in found.levels.get(key, ()))
        for key in given
        if key in found.levels or key in found.ranges
    }
    for key in space.when or {}:
        with errors:
            found.conditions[key] = read_conditions(space, key, choices)
    order = tuple(choices)
    with errors:
        if not choices and len(found.constants) == len(given) and space.is_complete("parameters"):
            what = (
                "a search needs a key with `min` and `max` or `values`"
                if is_search
                else "a grid needs a key with `values`"
            )
            raise SpecError(f"{space.origin('parameters')}: parameters: {what}; add one")
        order = in_order(space, order, found.conditions)
    return replace(found, order=order, mistakes=tuple(errors.messages))


def read_range(key: str, parameter: Parameter, space: SearchSpace) -> Distribution:
    """The distribution between `min` and `max`. Raises SpecError where the setting has no such range."""
    origin = space.origin("parameters", key)
    here = f"{origin}: {key}"
    leaf = config_leaves().get(key)
    if leaf is None:
        raise SpecError(f"{here}: {unknown_key(key)}")
    kinds = KINDS.get(number_type(leaf.annotation) or str)
    if kinds is None:
        raise SpecError(f"{here}: not a number, so it has no range; write `values: [...]`")
    kind = parameter.distribution or kinds[0]
    if kind not in kinds:
        what = "whole numbers" if number_type(leaf.annotation) is int else "numbers"
        raise SpecError(f"{here}: {quoted(kind)} does not draw {what}; choose {' or '.join(kinds)}")
    errors = SpecErrorCollector()
    ends: list[Any] = []
    for name, end in (("min", parameter.min), ("max", parameter.max)):
        with errors:
            if end is None:
                raise SpecError(f"{here}: no {name}; write both min and max")
            ends.append(read_setting(key, end, space.origin("parameters", key, name)).value)
    errors.raise_any()
    low, high = ends
    if mistake := range_mistake(kind, low, high, parameter.step):
        raise SpecError(f"{here}: {mistake}")
    return Distribution(key=key, kind=kind, low=low, high=high, step=parameter.step, origin=origin)


def read_conditions(space: SearchSpace, key: str, choices: Mapping[str, Sequence[Any]]) -> Conditions:
    """The conditions of the parameter `key`. Raises SpecError.

    `choices` has the values of each parameter of the file, none for one that is drawn from a range.
    """
    here = f"{space.origin('when', key)}: when.{key}"
    others = (space.when or {})[key]
    if key not in choices:
        raise SpecError(f"{here}: no such parameter; {closest(key, tuple(choices))}")
    if not others and space.is_complete("when", key):
        raise SpecError(f"{here}: no condition; write `{{other.key: [values]}}`, or remove it")
    found: dict[str, tuple[Any, ...]] = {}
    errors = SpecErrorCollector()
    for other, values in others.items():
        here = f"{space.origin('when', key, other)}: when.{key}.{other}"
        with errors:
            found[other] = read_values(here, key, other, values, choices)
    errors.raise_any()
    return found


def read_values(
    here: str, key: str, other: str, values: Sequence[Any], choices: Mapping[str, Sequence[Any]]
) -> tuple[Any, ...]:
    """The values of `other` for which `key` is active. Raises SpecError; its messages begin with `here`."""
    if not choices.get(other):
        listed = tuple(name for name, known in choices.items() if known and name != key)
        remedy = closest(other, listed) if listed else "a condition needs another parameter that lists `values`"
        raise SpecError(f"{here}: no parameter with `values`; {remedy}")
    if not values:
        raise SpecError(f"{here}: no values; list at least one")
    found = []
    errors = SpecErrorCollector()
    for value in values:
        try:
            found.append(config_leaves()[other].check(value))
        except ValueError as error:
            errors.messages.append(f"{here}: {error}")
            continue
        if found[-1] not in choices[other]:
            text = f"{quoted(value)} is not among the values of {other}; choose {quoted(choices[other])[1:-1]}"
            errors.messages.append(f"{here}: {text}")
    errors.raise_any()
    return tuple(found)


def in_order(space: SearchSpace, keys: Sequence[str], conditions: Mapping[str, Conditions]) -> tuple[str, ...]:
    """`keys`, each after those that its conditions depend on, otherwise in the order of the file.

    Raises SpecError for a cycle.
    """
    graph = TopologicalSorter({key: [other for other in conditions.get(key, {}) if other in keys] for key in keys})
    try:
        return tuple(graph.static_order())
    except CycleError as error:
        cycle = " -> ".join(reversed(error.args[1]))
        raise SpecError(f"{space.origin('when')}: when: the conditions form a cycle ({cycle}); remove one") from error


def range_mistake(kind: str, low: float, high: float, step: float | None) -> str | None:
    """Why nothing can be drawn from a range; None for a sound one."""
    if low >= high:
        return f"min {quoted(low)} is not below max {quoted(high)}; swap them, or write `value: x`"
    if "log" in kind and low <= 0:
        return f"min {quoted(low)} has no logarithm; write a min above 0, or draw without log"
    if step is None:
        return None
    if "log" in kind:
        return f"{kind} takes no step; remove it, or draw without log"
    if kind == "int_uniform" and not isinstance(step, int):
        return f"step must be a whole number, not {quoted(step)}; write for example 1"
    steps = (high - low) / step
    if not math.isfinite(steps):
        return f"step {quoted(step)} is too small for the range; write a larger one, or remove it"
    if steps < 1 or not math.isclose(steps, round(steps), rel_tol=0, abs_tol=1e-6):
        last = low + max(1, math.floor(steps + 1e-6)) * step
        return f"max {quoted(high)} is not a whole number of steps from min; write for example max: {last:g}"
    return None


def short_names(keys: Sequence[str]) -> Mapping[str, str]:
    """Last part of each key; the whole key where two would look alike."""
    last = [key.rpartition(".")[2] for key in keys]
    counts = Counter(last)
    return {key: name if counts[name] == 1 else key for key, name in zip(keys, last, strict=True)}
