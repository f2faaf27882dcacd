"""The distributions of a search, in drawing order."""

from __future__ import annotations

from dataclasses import replace

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
    return MethodRows(
        rows=baseline_row(space),
        constants=tuple(parameters.constants),
        distributions=tuple(replace(found[key], when=parameters.conditions.get(key, {})) for key in parameters.order),
        mistakes=parameters.mistakes,
    )
