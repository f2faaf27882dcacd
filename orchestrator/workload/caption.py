"""Helps a workload to write the caption of a table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import fields, is_dataclass
from typing import Any

__all__ = ["describe_seeds", "describe_settings", "same_or_varied"]


def same_or_varied(values: Iterable[str], what: str) -> str:
    """The one text that all rows have, else `varied WHAT`."""
    found = set(values)
    return found.pop() if len(found) == 1 else f"varied {what}"


def describe_settings(configs: Sequence[Any]) -> str:
    """`lr 0.5, steps 300`: the settings that all configs share; those in blocks are left out."""
    names = [item.name for item in fields(configs[0]) if item.name != "seed"]
    shared = {name: getattr(configs[0], name) for name in names if len({getattr(item, name) for item in configs}) == 1}
    return ", ".join(f"{name} {value}" for name, value in shared.items() if not is_dataclass(value))


def describe_seeds(seeds: Sequence[int]) -> str:
    """`seed 0`, `seeds 0–2` or `seeds 11, 13`."""
    if len(seeds) == 1:
        return f"seed {seeds[0]}"
    if list(seeds) == list(range(seeds[0], seeds[0] + len(seeds))):
        return f"seeds {seeds[0]}–{seeds[-1]}"
    return f"seeds {', '.join(map(str, seeds))}"
