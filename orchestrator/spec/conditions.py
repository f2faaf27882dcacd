"""`when`: a parameter is active only where others have certain values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from typing import Any

from orchestrator.errors import SpecError, SpecErrorCollector
from orchestrator.spec.distributions import Conditions
from orchestrator.spec.schema import SearchSpace
from orchestrator.spec.settings import as_yaml, closest, config_leaves

__all__ = ["in_order", "read_conditions"]


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
            text = f"{as_yaml(value)} is not among the values of {other}; choose {as_yaml(choices[other])[1:-1]}"
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
