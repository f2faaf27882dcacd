"""`when`: a parameter is active only where others have certain values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from typing import Any

from orchestrator.errors import SpecError, SpecErrorCollector
from orchestrator.spec.distributions import Conditions
from orchestrator.spec.schema import SearchSpace
from orchestrator.spec.settings import as_yaml, closest, config_leaves

__all__ = ["ConditionGraph", "in_order", "read_conditions"]

ConditionGraph = Mapping[str, Conditions]
"""The conditions of each parameter that has some."""


def read_conditions(space: SearchSpace, choices: Mapping[str, Sequence[Any]]) -> tuple[ConditionGraph, Sequence[str]]:
    """The conditions of a file, and what is wrong with them, one line each.

    `choices` has the values of each parameter of the file, none for one that is drawn from a range.
    """
    found: dict[str, Conditions] = {}
    errors = SpecErrorCollector()
    for key, others in (space.when or {}).items():
        origin = space.origin("when", key)
        with errors:
            if key not in choices:
                raise SpecError(f"{origin}: when.{key}: no such parameter; {closest(key, tuple(choices))}")
            if not others and space.is_complete("when", key):
                raise SpecError(f"{origin}: when.{key}: no condition; write `{{other.key: [values]}}`, or remove it")
            active: dict[str, tuple[Any, ...]] = {}
            found[key] = active
            for other, values in others.items():
                here = f"{space.origin('when', key, other)}: when.{key}.{other}"
                with errors:
                    active[other] = read_values(here, key, other, values, choices)
    return found, errors.messages


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
            text = f"{as_yaml(value)} is not among the values of {other}; choose {as_yaml(choices[other])[1:-1]}"
            errors.messages.append(f"{here}: {text}")
    errors.raise_any()
    return tuple(found)


def in_order(space: SearchSpace, keys: Sequence[str], conditions: ConditionGraph) -> tuple[str, ...]:
    """`keys`, each after those that its conditions depend on, otherwise in the order of the file.

    Raises SpecError for a cycle.
    """
    graph = TopologicalSorter({key: [other for other in conditions.get(key, {}) if other in keys] for key in keys})
    try:
        return tuple(graph.static_order())
    except CycleError as error:
        cycle = " -> ".join(reversed(error.args[1]))
        raise SpecError(f"{space.origin('when')}: when: the conditions form a cycle ({cycle}); remove one") from error
