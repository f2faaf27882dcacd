"""A trial's id is a function of what it computes: its resolved config, its data, and the workload with its version.

The sweep, the row, the machine and the time do not count, so a baseline that two sweeps share is trained once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

from orchestrator.machine.json_digest import DIGITS, json_digest, json_text
from orchestrator.planning.digests import file_digest
from orchestrator.spec.settings import config_leaves, leaves_of
from orchestrator.spec.workload_in_use import workload_in_use
from orchestrator.workload.fields import canonical_name, fields_below, file_keys, is_outside_identity
from orchestrator.workload.loaded import LoadedWorkload
from orchestrator.workload.loading import built_in, workload_of
from orchestrator.workload.plugin_part import PluginPart

__all__ = ["canonical", "canonical_of_row", "content_id", "seeded_ids", "shape_of", "study_id"]

SEED = "seed of the trial"
"""What stands for the seed in the text that the ids of a row's trials share."""


def content_id(config: Mapping[str, Any], data_digest: str, workload: LoadedWorkload | None = None) -> str:
    """The id of a trial, equal exactly for equal computations on equal data; `config` is what `canonical` returns.

    Without a `workload` it is the built-in one.
    """
    return json_digest({"config": config, "data": data_digest, **(workload or built_in()).identity})


def seeded_ids(
    config: Mapping[str, Any], seeds: Sequence[int], data_digest: str, workload: LoadedWorkload
) -> Iterator[str]:
    """`content_id` for each seed in place of that in `config`; what the trials share is written and hashed once."""
    shared = {"config": {**config, "seed": SEED}, "data": data_digest, **workload.identity}
    before, mark, after = json_text(shared).partition(f'"seed":"{SEED}"')
    if not mark or SEED in after:  # a setting has this text
        yield from (content_id({**config, "seed": seed}, data_digest, workload) for seed in seeds)
        return
    begun = hashlib.sha256(before.encode("ascii"))
    for seed in seeds:
        whole = begun.copy()
        whole.update(f'"seed":{seed:d}{after}'.encode("ascii"))
        yield whole.hexdigest()[:DIGITS]


def canonical(config: Any) -> dict[str, Any]:
    """What the config computes, as dotted keys and plain JSON values, the seed included.

    Fields without effect have their defaults. Paths and limits are left out; the path of a file whose content
    counts becomes `sha256:...`. Optional fields that are not set do not appear, and `1` in a float field is `1.0`.

    Raises OSError for such a file that cannot be read.
    """
    return canonical_of_row(workload_of(config).normalised(config))


def canonical_of_row(normalised: Any) -> dict[str, Any]:
    """`canonical` of a config that is normalised already, as those of resolved rows are."""
    content = dict(block_content.__wrapped__(normalised, ""))  # whole configs would fill the cache
    return with_digests(content, type(normalised))


def with_digests(content: dict[str, Any], config_type: type) -> dict[str, Any]:
    """`content` with the digest of each file in place of its path (`file_or_name`). Raises OSError."""
    for key, names in file_keys(config_type).items():
        if (value := content.get(key)) is not None and value not in names:
            content[key] = f"sha256:{file_digest(Path(value))}"
    return content


def study_id(
    search: Mapping[str, Any],
    settings: Mapping[str, Any],
    seeds: Sequence[int],
    data_digests: Iterable[str],
    workload: LoadedWorkload | None = None,
) -> str:
    """The id of a study, equal exactly for equal questions of a search.

    Counted are its objectives, sampler, distributions and scheduler (`search`), what holds for every trial (`settings`
    by dotted key, as far as they differ from the trainer's defaults, so that a key added later changes no study), the
    seed of the trials, the data and the workload with its version; not the number of trials, which may be raised.
    Raises OSError for a file that cannot be read.
    """
    workload = workload or built_in()
    drawn = {parameter["key"] for parameter in search["parameters"]}
    defaults = {key: default for key, default in base_defaults(workload.config_type).items() if key not in drawn}
    base = {key: settings[key] for key, default in defaults.items() if settings.get(key, default) != default}
    base = with_digests(base, workload.config_type)
    content = {"search": search, "base": base, "seeds": list(seeds), "data": sorted(set(data_digests))}
    return json_digest({**content, **workload.identity})


def base_defaults(config_type: Any) -> Mapping[str, Any]:
    """The default of each setting that is part of a trial's identity, by dotted key; tuples as lists.

    Those of plugins in use count as well.
    """
    uncounted = {prefix + item.name for prefix, item in fields_below(config_type) if is_outside_identity(item)}
    leaves = config_leaves() if workload_in_use().config_type is config_type else leaves_of(config_type)
    return {
        key: list(leaf.default) if isinstance(leaf.default, tuple) else leaf.default
        for key, leaf in leaves.items()
        if key not in uncounted
    }


def shape_of(config: Any) -> str:
    """Twelve hexadecimal digits, equal for configs that need the same memory and time per step.

    The spaces after its separators are part of the digest: `costs.json` of version 0.1 has it as its key.
    """
    outside = workload_of(config).extras.outside_shape
    content = {key: value for key, value in canonical(config).items() if key not in outside}
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
