"""`when`: a parameter counts only where others have certain values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from typing import Any

from orchestrator.spec.distributions import Conditions
from orchestrator.spec.settings import closest, config_leaves, shown
from orchestrator.spec.yaml_document import Document

__all__ = ["in_order", "read_conditions"]


def read_conditions(
    document: Document, choices: Mapping[str, Sequence[Any]], problems: list[str]
) -> dict[str, Conditions]:
    """The conditions of each parameter that has some.

    `choices` has the values of each parameter of the file, none for one that is drawn from a range. Mistakes go to
    `problems`.
    """
    found: dict[str, Conditions] = {}
    given = document.values.get("when")
    for key, others in (given if isinstance(given, dict) else {}).items():
        origin = document.origins["when", key]
        if key not in choices:
            problems.append(f"{origin}: when.{key}: no such parameter; {closest(key, tuple(choices))}")
        elif isinstance(others, dict):
            if not others:
                problems.append(f"{origin}: when.{key}: no condition; write `{{other.key: [values]}}`, or remove it")
            found[key] = {
                other: read_values(document, key, other, values, choices, problems)
                for other, values in others.items()
                if isinstance(values, list)
            }
    return found


def read_values(
    document: Document,
    key: str,
    other: str,
    values: list[Any],
    choices: Mapping[str, Sequence[Any]],
    problems: list[str],
) -> tuple[Any, ...]:
    """The values of `other` for which `key` counts."""
    here = f"{document.origins['when', key, other]}: when.{key}.{other}"
    if not choices.get(other):
        listed = tuple(name for name, known in choices.items() if known and name != key)
        remedy = closest(other, listed) if listed else "a condition asks for one of the `values` of another parameter"
        problems.append(f"{here}: no parameter with `values`; {remedy}")
        return ()
    if not values:
        problems.append(f"{here}: no values; list at least one")
    found = []
    for value in values:
        try:
            found.append(config_leaves()[other].check(value))
        except ValueError as error:
            problems.append(f"{here}: {error}")
            continue
        if found[-1] not in choices[other]:
            problems.append(f"{here}: {shown(value)} is none of its values; choose {shown(choices[other])[1:-1]}")
    return tuple(found)


def in_order(
    document: Document, keys: Sequence[str], conditions: Mapping[str, Conditions], problems: list[str]
) -> tuple[str, ...]:
    """`keys`, each after those that its conditions ask about, else as they stand in the file."""
    graph = TopologicalSorter({key: [other for other in conditions.get(key, {}) if other in keys] for key in keys})
    try:
        return tuple(graph.static_order())
    except CycleError as error:
        circle = " -> ".join(reversed(error.args[1]))
        problems.append(f"{document.origins['when',]}: when: the conditions go in a circle ({circle}); remove one")
        return tuple(keys)
