"""The configs behind rows and behind the ends of a search, and what is checked of them beyond the trainer's types."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from orchestrator.planning.build_config import ConfigBuilder, origin_of
from orchestrator.planning.datasets import DataFacts, DataKey, DataUse, data_key
from orchestrator.spec.distributions import Distribution, Search, holds
from orchestrator.spec.rows import RowSpec
from orchestrator.spec.settings import Setting
from orchestrator.spec.sweep_spec import SweepSpec
from trainer.bank_size import require_bank_fits
from trainer.config import PACKAGED_WEIGHTS, TrainConfig, require_class_weights_fit

__all__ = [
    "ResolvedRow",
    "check_classes",
    "check_grace",
    "check_weights",
    "effective_settings",
    "resolve_bounds",
    "resolve_drawn",
    "resolve_rows",
]


@dataclass(frozen=True, slots=True)
class ResolvedRow:
    """A row's config before its seeds, and who set what."""

    config: TrainConfig
    settings: Mapping[str, Setting]
    origin: str

    def use(self) -> DataUse:
        """What `orchestrator.planning.datasets` asks of a row."""
        return self.config.data, self.settings, self.origin


def effective_settings(spec: SweepSpec, row: RowSpec) -> dict[str, Setting]:
    """What holds for a row: the base of the sweep, and the row's own settings over it."""
    return {**spec.base, **{item.key: item for item in row.settings}}


def resolve_rows(spec: SweepSpec, problems: list[str]) -> list[ResolvedRow]:
    """The config of each row; a row that cannot be built is left out and its lines go to `problems`."""
    builder, rows = ConfigBuilder(), []
    for row in spec.rows:
        settings = effective_settings(spec, row)
        config = builder.build(settings, row.origin, problems)
        if config is not None:
            rows.append(ResolvedRow(config.normalised(), settings, row.origin))
    return rows


def resolve_drawn(
    search: Search,
    base: Mapping[str, Setting],
    values: Mapping[str, Any],
    builder: ConfigBuilder,
    problems: list[str],
) -> ResolvedRow | None:
    """The config with `values` of some parameters of `search`, the others as `base` has them."""
    origins = {item.key: item.origin for item in search.parameters}
    drawn = {key: Setting(key=key, value=value, origin=origins[key]) for key, value in values.items()}
    settings = {**base, **drawn}
    otherwise = next(iter(origins.values()))
    config = builder.build(settings, otherwise, problems)
    return None if config is None else ResolvedRow(config.normalised(), settings, otherwise)


def resolve_bounds(spec: SweepSpec, problems: list[str]) -> list[ResolvedRow]:
    """A config for each choice and each end of a range of a search: all of them must be legal somewhere.

    Tried with the other parameters as the recipe has them, then with all at their first and all at their last value;
    what is refused each time goes to `problems`, in the words of the first refusal.
    """
    arms: list[ResolvedRow] = []
    if spec.search is None:
        return arms
    builder = ConfigBuilder()
    for item in spec.search.parameters:
        for bound in item.bounds():
            refusals: list[str] = []
            for corner in corners(spec.search, item, bound):
                told: list[str] = []
                arm = resolve_drawn(spec.search, spec.base, corner, builder, told)
                if arm is not None:
                    arms.append(arm)
                    break
                refusals = refusals or told
            else:
                problems.extend(refusals)
    return arms


def corners(search: Search, item: Distribution, bound: Any) -> Iterator[dict[str, Any]]:
    """Values of parameters among which `item` counts and has the value `bound`."""
    by_key = {parameter.key: parameter for parameter in search.parameters}
    needed = {item.key: bound}
    open_keys = [item.key]
    while open_keys:
        for key, choices in by_key[open_keys.pop()].when.items():
            if key not in needed:
                needed[key] = choices[0]
                open_keys.append(key)
    yield needed
    for end in (0, -1):
        values: dict[str, Any] = {}
        for parameter in search.parameters:
            if holds(parameter.when, values):
                values[parameter.key] = needed.get(parameter.key, parameter.bounds()[end])
        yield values


def check_weights(rows: Sequence[ResolvedRow], problems: list[str]) -> None:
    """Complain of weight files that do not exist."""
    key = "model.weights"
    for row in rows:
        weights = row.config.model.weights
        if weights not in PACKAGED_WEIGHTS and not Path(weights).is_file():
            choices = ", ".join(PACKAGED_WEIGHTS)
            text = f"no such file {weights!r}; choose {choices} or the path of a .safetensors or .pth file"
            problems.append(f"{origin_of(key, row.settings, row.origin)}: {key}: {text}")


def check_classes(rows: Sequence[ResolvedRow], facts: Mapping[DataKey, DataFacts], problems: list[str]) -> None:
    """Complain of what the number of classes forbids: a bank above its cap, class weights too many or too few."""
    for row in rows:
        contrast, loss, known = row.config.contrast, row.config.loss, facts.get(data_key(row.config.data))
        if known is None:
            continue
        checks = {
            "contrast.memory.pixels_per_class": partial(
                require_bank_fits, contrast.memory, known.classes, contrast.embedding_dim
            ),
            "loss.class_weights": partial(require_class_weights_fit, loss, known.classes),
        }
        for key, check in checks.items():
            try:
                check()
            except ValueError as error:
                problems.append(f"{origin_of(key, row.settings, row.origin)}: {error}")


def check_grace(spec: SweepSpec, rows: Sequence[ResolvedRow], problems: list[str]) -> None:
    """Complain of a scheduler that may stop a trial before its contrastive loss counts."""
    if spec.scheduler is None:
        return
    grace = spec.scheduler.grace_fraction
    warmup = max((row.config.contrast.warmup_fraction for row in rows if has_contrast(row.config)), default=0.0)
    if grace < warmup:
        problems.append(
            f"{spec.scheduler.origin}: scheduler.grace_fraction: {grace:g} ends before the contrast warm-up "
            f"(contrast.warmup_fraction is {warmup:g}), so a trial would be judged without its loss; write {warmup:g}"
        )


def has_contrast(config: TrainConfig) -> bool:
    """Whether the contrastive loss of a normalised config counts at all."""
    return config.contrast.source != "none"
