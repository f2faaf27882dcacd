"""The distributions of a search, in drawing order."""

from __future__ import annotations

from dataclasses import replace

from orchestrator.errors import SpecError, SpecErrorCollector
from orchestrator.spec.conditions import in_order, read_conditions
from orchestrator.spec.distributions import Distribution
from orchestrator.spec.parameters import read_parameters
from orchestrator.spec.rows import MethodRows, baseline_row
from orchestrator.spec.schema import SearchSpace

__all__ = ["search_rows"]


def search_rows(space: SearchSpace) -> MethodRows:
    """What is drawn, the constants (`value:`), and the `baseline:` block as the only row."""
    parameters = read_parameters(space)
    listed = {
        key: Distribution(
            key=key,
            kind="categorical",
            choices=tuple(item.value for item in levels),
            origin=space.origin("parameters", key),
        )
        for key, levels in parameters.levels.items()
    }
    found = {**listed, **parameters.ranges}
    given = space.parameters or {}
    conditions, condition_mistakes = read_conditions(space, parameters.choices())
    order = tuple(key for key in given if key in found)
    errors = SpecErrorCollector()
    with errors:
        if not found and len(parameters.constants) == len(given) and space.is_complete("parameters"):
            text = "a search needs a key with `min` and `max` or `values`; add one"
            raise SpecError(f"{space.origin('parameters')}: parameters: {text}")
        order = in_order(space, order, conditions)
    return MethodRows(
        rows=baseline_row(space),
        constants=tuple(parameters.constants),
        distributions=tuple(replace(found[key], when=conditions.get(key, {})) for key in order),
        mistakes=(*parameters.mistakes, *condition_mistakes, *errors.messages),
    )
