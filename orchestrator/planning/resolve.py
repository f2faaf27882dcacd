"""The configs of rows and of the ends of a search's ranges, and the checks beyond the trainer's types."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

from orchestrator.errors import SpecError, SpecErrorCollector
from orchestrator.planning.build_config import ConfigBuilder, ResolvedRow
from orchestrator.planning.digests import recall
from orchestrator.spec.blocks import Resources, Scheduler
from orchestrator.spec.distributions import Distribution, Search, holds
from orchestrator.spec.rows import RowSpec
from orchestrator.spec.settings import Setting
from orchestrator.workload.inputs import Inputs
from orchestrator.workload.loaded import LoadedWorkload

__all__ = [
    "check_grace",
    "check_inputs",
    "check_row",
    "read_inputs",
    "resolve_bound",
    "resolve_row",
    "resolve_suggestion",
]

Bound: TypeAlias = tuple[Distribution, Any]
"""A parameter of a search, and one of its choices or one end of its range."""


def resolve_row(base: Mapping[str, Setting], builder: ConfigBuilder, row: RowSpec) -> ResolvedRow:
    """A row's own settings over the `base` of its sweep. Raises SpecError for what the trainer refuses."""
    return builder.build({**base, **{item.key: item for item in row.settings}}, row.origin)


def resolve_suggestion(
    search: Search, base: Mapping[str, Setting], builder: ConfigBuilder, values: Mapping[str, Any]
) -> ResolvedRow:
    """`values` of some parameters of `search` over `base`. Raises SpecError for what the trainer refuses."""
    origins = {item.key: item.origin for item in search.parameters}
    suggested = {key: Setting(key=key, value=value, origin=origins[key]) for key, value in values.items()}
    return builder.build({**base, **suggested}, next(iter(origins.values())))


def resolve_bound(search: Search, base: Mapping[str, Setting], builder: ConfigBuilder, bound: Bound) -> ResolvedRow:
    """A config with `bound`: it must be legal together with some values of the other parameters.

    Tried with the others as `base` has them, then with all at their first, then with all at their last value. Raises
    SpecError with the first refusal when none is legal.
    """
    refusals: list[SpecError] = []
    for values in corners(search, *bound):
        try:
            return resolve_suggestion(search, base, builder, values)
        except SpecError as refusal:
            refusals.append(refusal)
    raise refusals[0]


def corners(search: Search, parameter: Distribution, bound: Any) -> Iterator[dict[str, Any]]:
    """Values of parameters for which `parameter` is active and has the value `bound`."""
    by_key = {item.key: item for item in search.parameters}
    needed = {parameter.key: bound}
    open_keys = [parameter.key]
    while open_keys:
        for key, choices in by_key[open_keys.pop()].when.items():
            if key not in needed:
                needed[key] = choices[0]
                open_keys.append(key)
    yield needed
    for end in (0, -1):
        values: dict[str, Any] = {}
        for item in search.parameters:
            if holds(item.when, values):
                values[item.key] = needed.get(item.key, item.bounds()[end])
        yield values


def check_row(workload: LoadedWorkload, resources: Resources, row: ResolvedRow) -> None:
    """Raise SpecError for what the workload refuses, and for what the `resources` of a trial do not allow.

    As far as they are known: `auto` is decided where the sweep runs.
    """
    errors = SpecErrorCollector()
    with errors:
        row.sources.checked(partial(workload.workload.check, row.config))
    if (check_resources := workload.extras.check_resources) is not None:
        with errors:
            row.sources.checked(partial(check_resources, row.config, resources.gpus != 0, resources.ranks))
    errors.raise_any()


def check_inputs(workload: LoadedWorkload, row: ResolvedRow, inputs: Inputs) -> None:
    """Raise SpecError for a config that does not fit its inputs."""
    if (check := workload.extras.check_inputs) is not None:
        row.sources.checked(partial(check, row.config, inputs))


def read_inputs(
    workload: LoadedWorkload, row: ResolvedRow, cache_dir: Path, preparing: Callable[[str], None] = lambda _: None
) -> Inputs:
    """What the trials of a row read; slow results are kept in `cache_dir`, and `preparing` is told of them.

    Raises SpecError.
    """
    try:
        return workload.workload.inputs(row.config, partial(recall, cache_dir, preparing=preparing))
    except ValueError as error:
        found = (str(item).partition(": ") for item in error.args)
        raise SpecError(*(text for key, _, text in found for text in row.sources.error(key, text).messages)) from error


def check_grace(workload: LoadedWorkload, scheduler: Scheduler, rows: Sequence[ResolvedRow]) -> None:
    """Raise SpecError for a scheduler that may stop a trial before its warm-up is over, or that knows no steps."""
    if not workload.extras.steps_key:
        text = "cannot stop trials early, because the workload does not say how many steps they have (Extras.steps_key)"
        raise SpecError(f"{scheduler.origin}: scheduler: {text}; remove it")
    if workload.extras.warmup_fraction is None:
        return
    warmup = max(map(workload.extras.warmup_fraction, (row.config for row in rows)), default=0.0)
    grace = scheduler.grace_fraction
    if grace < warmup:
        why = f" ({workload.extras.warmup_key} is {warmup:g})" if workload.extras.warmup_key else ""
        raise SpecError(
            f"{scheduler.origin}: scheduler.grace_fraction: {grace:g} ends before the warm-up of the trials{why}, so "
            f"they would be compared before all of their training acts; write {warmup:g}"
        )
