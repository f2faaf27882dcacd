"""A trial's id is a function of what the trial computes: its resolved config, its data and RESULT_VERSION.

The sweep, the row, the machine and the time do not count, so a baseline that two sweeps share is trained once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

from orchestrator.planning.digests import file_digest, json_digest
from orchestrator.spec.settings import config_leaves
from trainer.config import (
    PACKAGED_WEIGHTS,
    RESULT_VERSION,
    PluginPart,
    TrainConfig,
    canonical_name,
    fields_below,
    is_outside_identity,
)

__all__ = ["canonical", "content_id", "shape_of", "study_id"]

OUTSIDE_SHAPE = (
    "contrast.labels",
    "contrast.temperature",
    "contrast.warmup_fraction",
    "contrast.weight",
    "data.color_jitter",
    "data.flip_probability",
    "data.scale",
    "optim.lr",
    "optim.weight_decay",
    "schedule.eval_every_steps",
    "schedule.steps",
    "seed",
)
"""Keys that change what a trial computes, but not how much memory or time a step takes."""


def content_id(config: Mapping[str, Any], data_digest: str) -> str:
    """The id of a trial, equal exactly for equal computations on equal data; `config` is what `canonical` returns."""
    return json_digest({"config": config, "data": data_digest, "result_version": RESULT_VERSION})


def canonical(config: TrainConfig) -> dict[str, Any]:
    """What the config computes, as dotted keys and plain JSON values, the seed included.

    Fields without effect have their defaults. Paths and limits are left out; the path of a weight file becomes
    `sha256:...`. Optional fields that are not set do not appear, and `1` in a float field is `1.0`.

    Raises OSError for a weight file that cannot be read.
    """
    content = dict(block_content.__wrapped__(config.normalised(), ""))  # whole configs would fill the cache
    weights = content["model.weights"]
    if weights not in PACKAGED_WEIGHTS:
        content["model.weights"] = f"sha256:{file_digest(Path(weights))}"
    return content


def study_id(
    search: Mapping[str, Any], settings: Mapping[str, Any], seeds: Sequence[int], data_digests: Iterable[str]
) -> str:
    """The id of a study, equal exactly for equal questions of a search.

    Counted are its objectives, sampler, distributions and scheduler (`search`), what holds for every trial (`settings`
    by dotted key, as far as they differ from the trainer's defaults, so that a key added later changes no study), the
    seed of the trials, the data and RESULT_VERSION; not the number of trials, which may be raised. Raises OSError for a
    weight file that cannot be read.
    """
    drawn = {parameter["key"] for parameter in search["parameters"]}
    defaults = {key: default for key, default in base_defaults().items() if key not in drawn}
    base = {key: settings[key] for key, default in defaults.items() if settings.get(key, default) != default}
    weights = base.get("model.weights", PACKAGED_WEIGHTS[0])
    if weights not in PACKAGED_WEIGHTS:
        base["model.weights"] = f"sha256:{file_digest(Path(weights))}"
    content = {"search": search, "base": base, "seeds": list(seeds), "data": sorted(set(data_digests))}
    return json_digest({**content, "result_version": RESULT_VERSION})


def base_defaults() -> Mapping[str, Any]:
    """The default of each setting that is part of a trial's identity, by dotted key; tuples as lists."""
    uncounted = {prefix + item.name for prefix, item in fields_below(TrainConfig) if is_outside_identity(item)}
    return {
        key: list(leaf.default) if isinstance(leaf.default, tuple) else leaf.default
        for key, leaf in config_leaves().items()
        if key not in uncounted
    }


def shape_of(config: TrainConfig) -> str:
    """Twelve hexadecimal digits, equal for configs that need the same memory and time per step.

    The spaces after its separators are part of the digest: `costs.json` of version 0.1 has it as its key.
    """
    content = {key: value for key, value in canonical(config).items() if key not in OUTSIDE_SHAPE}
    return json_digest(content, separators=(", ", ": "))


@lru_cache(maxsize=4096)
def block_content(block: Any, prefix: str) -> Mapping[str, Any]:
    """Canonical values of one block, cached because the trials of a sweep share most of their blocks."""
    content: dict[str, Any] = {}
    for name, recorded, is_block, convert in identity_fields(block.__class__):
        value = getattr(block, name)
        if is_block:
            content.update(block_content(value, f"{prefix}{name}."))
        elif isinstance(value, PluginPart):
            content.update({prefix + key: item for key, item in value.canonical(name).items()})
        elif name == "metric_plugins" and value is not None:
            parts = [{prefix + key: item for key, item in part.canonical(name).items()} for part in value]
            content.update({key: item for part in parts for key, item in part.items()})
            content[prefix + name] = sorted({part.source.digest for part in value})
        elif value is not None:
            content[prefix + recorded] = convert(value)
    return content


@cache
def identity_fields(config_type: Any) -> tuple[tuple[str, str, bool, Callable[[Any], Any]], ...]:
    """Of each field that is part of the identity: name, canonical name, whether it is a block, and converter.

    Only a field whose default is None can be None.
    """
    types = get_type_hints(config_type)
    return tuple(
        (item.name, canonical_name(item), is_dataclass(types[item.name]), converter(types[item.name]))
        for item in fields(config_type)
        if not is_outside_identity(item)
    )


def converter(annotation: Any) -> Callable[[Any], Any]:
    """A function from a field's value to its canonical JSON value."""
    if annotation is float:
        return lambda value: float(value) + 0.0  # -0.0 is 0.0
    if annotation is int:
        return int
    if get_origin(annotation) is tuple:
        if get_args(annotation)[-1] is Ellipsis:
            item_converter = converter(get_args(annotation)[0])
            return lambda value: [item_converter(item) for item in value]
        parts = tuple(converter(part) for part in get_args(annotation))
        return lambda value: [part(item) for part, item in zip(parts, value, strict=True)]
    optional = [part for part in get_args(annotation) if part is not type(None)]
    if type(None) in get_args(annotation) and len(optional) == 1:
        return converter(optional[0])
    return lambda value: value
