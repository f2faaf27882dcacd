"""The configs of rows and of the ends of a search's ranges, and the checks beyond the trainer's types."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

from orchestrator.errors import SpecError, SpecErrorCollector
from orchestrator.planning.build_config import ConfigBuilder, ResolvedRow
from orchestrator.planning.datasets import DataFacts
from orchestrator.spec.blocks import Resources, Scheduler
from orchestrator.spec.distributions import Distribution, Search, holds
from orchestrator.spec.rows import RowSpec
from orchestrator.spec.settings import Setting
from trainer.bank_size import require_bank_fits
from trainer.config import PACKAGED_WEIGHTS, require_class_weights_fit, require_compute_fits

__all__ = [
    "check_class_count",
    "check_compute",
    "check_grace",
    "check_weights",
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


def check_weights(row: ResolvedRow) -> None:
    """Raise SpecError for a weight file that does not exist."""
    weights = row.config.model.weights
    if weights not in PACKAGED_WEIGHTS and not Path(weights).is_file():
        choices = ", ".join(PACKAGED_WEIGHTS)
        text = f"no such file {weights!r}; choose {choices} or the path of a .safetensors or .pth file"
        raise row.sources.error("model.weights", text)


def check_compute(resources: Resources, row: ResolvedRow) -> None:
    """Raise SpecError for arithmetic that the `resources` of a trial do not allow, as far as they are known."""
    cuda = resources.gpus != 0  # auto: decided where the sweep runs
    row.sources.checked(partial(require_compute_fits, row.config.compute, cuda=cuda, ranks=resources.ranks))


def check_class_count(row: ResolvedRow, facts: DataFacts) -> None:
    """Raise SpecError for a memory bank above its cap, and for a wrong number of class weights."""
    contrast, loss = row.config.contrast, row.config.loss
    errors = SpecErrorCollector()
    with errors:
        row.sources.checked(partial(require_bank_fits, contrast.memory, facts.classes, contrast.embedding_dim))
    with errors:
        row.sources.checked(partial(require_class_weights_fit, loss, facts.classes))
    errors.raise_any()


def check_grace(scheduler: Scheduler, rows: Sequence[ResolvedRow]) -> None:
    """Raise SpecError for a scheduler that may stop a trial before its contrastive loss counts."""
    contrasts = [row.config.contrast for row in rows]
    warmup = max((item.warmup_fraction for item in contrasts if item.source != "none"), default=0.0)
    grace = scheduler.grace_fraction
    if grace < warmup:
        raise SpecError(
            f"{scheduler.origin}: scheduler.grace_fraction: {grace:g} ends before the contrast warm-up "
            f"(contrast.warmup_fraction is {warmup:g}), so a trial would be judged without its loss; write {warmup:g}"
        )
