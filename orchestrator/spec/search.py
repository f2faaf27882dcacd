"""A search as the file says it: the distributions, their conditions, and what a search must have."""

from __future__ import annotations

from dataclasses import replace

from orchestrator.spec.conditions import in_order, read_conditions
from orchestrator.spec.distributions import Distribution
from orchestrator.spec.parameters import read_parameters
from orchestrator.spec.settings import Setting
from orchestrator.spec.yaml_document import Document

__all__ = ["read_distributions"]


def read_distributions(document: Document, problems: list[str]) -> tuple[tuple[Distribution, ...], tuple[Setting, ...]]:
    """What is drawn, in drawing order, and the constants (`value:`). Mistakes go to `problems`."""
    origin = document.origins.nearest("parameters")
    parameters = read_parameters(document, problems)
    listed = {
        key: Distribution(
            key=key,
            kind="categorical",
            choices=tuple(item.value for item in levels),
            origin=document.origins["parameters", key],
        )
        for key, levels in parameters.levels.items()
    }
    found = {**listed, **parameters.ranges}
    given = document.values.get("parameters") or {}
    if not isinstance(given, dict):
        return (), ()  # the schema has complained
    if not found and len(parameters.constants) == len(given):
        problems.append(f"{origin}: parameters: a search needs a key with `min` and `max` or `values`; add one")
    conditions = read_conditions(document, parameters.choices(), problems)
    keys = tuple(key for key in given if key in found)
    order = in_order(document, keys, conditions, problems)
    drawn = tuple(replace(found[key], when=conditions.get(key, {})) for key in order)
    return drawn, tuple(parameters.constants)
