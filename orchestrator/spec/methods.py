"""Methods: which keys each reads, the rows it makes, and what a search draws."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from orchestrator.spec.ablation import ablation_rows
from orchestrator.spec.distributions import Distribution, Search
from orchestrator.spec.grid import grid_rows
from orchestrator.spec.parameters import read_parameters
from orchestrator.spec.rows import MethodRows, baseline_row
from orchestrator.spec.schema import SearchSpace
from orchestrator.spec.settings import Setting
from orchestrator.store.sweep_record import SEARCHES

__all__ = ["method_mistakes", "method_rows", "search_of"]

METHODS_OF_KEY: Mapping[str, tuple[str, ...]] = {
    "rows": ("ablation",),
    "one_at_a_time": ("ablation",),
    "leave_one_out": ("ablation",),
    "parameters": ("grid", *SEARCHES),
    "zip": ("grid",),
    "skip": ("grid",),
    "when": ("grid", *SEARCHES),
    "trials": SEARCHES,
    "search_seed": SEARCHES,
    "scheduler": SEARCHES,
}
"""Methods that read a key."""


def method_mistakes(space: SearchSpace) -> Iterator[str]:
    """Keys that the method does not read, those it lacks, and objectives that it cannot have."""
    if not space.is_complete("method"):
        return
    is_search = space.method in SEARCHES
    for key, methods in METHODS_OF_KEY.items():
        if space.has(key) and space.method not in methods:
            yield f"{space.origin(key)}: {key}: needs `method: {' | '.join(methods)}`; remove it or change the method"
    if is_search and space.trials is None and space.is_complete("trials"):
        yield f"{space.origin('trials')}: trials: missing; say how many to draw, for example trials: 40"
    if is_search and isinstance(space.baseline, str):
        text = "a search has no rows to name; write the settings of an extra row, `{key: value}`"
        yield f"{space.origin('baseline')}: baseline: {text}"
    if len(space.metric) > 1 and not is_search:
        text = "only a search has several objectives; name one, and show the others with table.columns"
        yield f"{space.origin('metric')}: metric: {text}"
    if len(space.metric) > 1 and is_search and space.scheduler is not None:
        text = "cannot rank trials by several objectives; remove it, or name one metric"
        yield f"{space.origin('scheduler')}: scheduler: {text}"
    if len({objective.name for objective in space.metric}) < len(space.metric) and space.is_complete("metric"):
        yield f"{space.origin('metric')}: metric: an objective is named twice; remove one"


def method_rows(space: SearchSpace, base: Mapping[str, Setting]) -> MethodRows:
    """Rows, constants and what is drawn, by the file's method; nothing where the method or all parameters are wrong."""
    if not space.is_complete("method"):
        return MethodRows()
    if space.method == "ablation":
        return ablation_rows(space, base)
    if space.parameters is None and not space.is_complete("parameters"):
        return MethodRows()
    return grid_rows(space) if space.method == "grid" else search_rows(space)


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


def search_of(space: SearchSpace, drawn: tuple[Distribution, ...]) -> Search | None:
    """How trials are drawn; None where rows are listed."""
    if space.method == "ablation" or space.method == "grid" or space.trials is None:
        return None
    return Search(sampler=space.method, trials=space.trials, seed=space.search_seed, parameters=drawn)
