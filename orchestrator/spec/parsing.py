"""From the unchecked values of a search space file to a typed `SearchSpace`, with every mistake in them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from orchestrator.spec.distributions import Objective
from orchestrator.spec.schema import BLOCKS, SearchSpace, lacks
from orchestrator.spec.settings import SettingsBlock, closest, quoted
from orchestrator.spec.validators import README
from orchestrator.spec.workload_in_use import workload_in_use
from orchestrator.spec.yaml_document import Block, Document, KeyPath, without
from orchestrator.store.sweep_record import SEARCHES

__all__ = ["parse_search_space"]

ADAPTER = TypeAdapter(SearchSpace)
REMOVED_KEYS: Mapping[str, str] = {
    "resources.processes": "no longer a key, because every trial has a process of its own; remove it",
}
"""What to say about keys that older search spaces have."""


def parse_search_space(document: Document) -> SearchSpace:
    """The typed search space, with all mistakes in it.

    What is wrong is left out and the rest is validated again, until it passes: so later checks may rely on the types.
    """
    mistakes: list[str] = []
    left_out: set[KeyPath] = set()
    while True:
        try:
            space = ADAPTER.validate_python(document.values)
            break
        except ValidationError as error:
            wrong: set[KeyPath] = set()
            for details in error.errors():
                path = path_in_file(details["loc"], document)
                is_consequence = details["type"] in ("missing", "too_short") and lacks(path, left_out)
                if not is_consequence:
                    mistakes.append(f"{document.origin(*path)}: {'.'.join(map(str, path))}: {complaint(details)}")
                wrong.add(up_to_list_item(path))
                left_out |= wrong
            document = replace(document, values=without(document.values, wrong))
            document.values.setdefault("method", "ablation")
    for block in settings_blocks(space):
        mistakes += block.mistakes
    if space.scheduler is not None:
        object.__setattr__(space.scheduler, "origin", document.origin("scheduler", "grace_fraction"))
    if "metric" not in document.values:
        object.__setattr__(space, "metric", (default_objective(space.method),))
    object.__setattr__(space, "document", document)
    object.__setattr__(space, "mistakes", tuple(mistakes))
    object.__setattr__(space, "left_out", frozenset(left_out))
    return space


def default_objective(method: str) -> Objective:
    """What ranks the rows, or guides a search, where the file does not say."""
    workload = workload_in_use()
    metric = workload.watched_metric if method in SEARCHES else workload.main_metric
    return Objective(name=metric.name)


def path_in_file(location: tuple[str | int, ...], document: Document) -> KeyPath:
    """Where pydantic's `location` is in the file; a block that stands for a list of one has no position there."""
    path: list[str | int] = []
    value: Any = document.values
    for key in location:
        if isinstance(value, Block) and isinstance(key, int):
            continue
        path.append(key)
        is_there = key in getattr(value, "origins", ())
        value = value[key] if is_there else None
    return tuple(path)


def up_to_list_item(path: KeyPath) -> KeyPath:
    """`path`, cut behind its first list position: an item of a list is left out as a whole."""
    end = next((index for index, key in enumerate(path, start=1) if isinstance(key, int)), len(path))
    return path[:end]


def settings_blocks(space: SearchSpace) -> tuple[SettingsBlock, ...]:
    """The blocks of settings in a search space."""
    rows, components = (space.rows or {}).values(), (space.leave_one_out or {}).values()
    data = (entry.block for entry in space.data or ())
    blocks = (*rows, *components, *(space.skip or ()), *data, space.fixed, space.baseline)
    return tuple(block for block in blocks if isinstance(block, SettingsBlock))


def complaint(details: ErrorDetails) -> str:
    """What pydantic found, and what to do about it."""
    kind, given = details["type"], quoted(details["input"])
    if kind == "value_error":
        return str(details["ctx"]["error"])
    if kind == "missing":
        return f"missing; add `method: ablation`, see {README}"
    if kind == "unexpected_keyword_argument":
        if removed := REMOVED_KEYS.get(".".join(map(str, details["loc"]))):
            return removed
        block = BLOCKS[str(details["loc"][0]) if len(details["loc"]) > 1 else ""]
        known = [name for name, item in block.__dataclass_fields__.items() if item.init]  # type: ignore[attr-defined]
        return f"unknown key; {closest(str(details['loc'][-1]), known)}"
    if kind == "literal_error":
        return f"{given} is not a choice; choose {str(details['ctx']['expected']).replace(chr(39), '')}"
    if kind == "less_than_equal":
        return f"{given} is more than {details['ctx']['le']}; write a smaller number"
    if kind == "too_short":
        return "an empty list; name at least one"
    if kind == "string_type":
        return f"must be text, not {given}; put it in quotes"
    if kind == "tuple_type":
        return f"must be a list, not {given}; write [...]"
    return f"must be a block of `key: value` lines, not {given}; see {README}"
