"""Helps a workload to write the caption of a table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

__all__ = ["describe_seeds", "same_or_varied"]


def same_or_varied(values: Iterable[str], what: str) -> str:
    """The one text that all rows have, else `varied WHAT`."""
    found = set(values)
    return found.pop() if len(found) == 1 else f"varied {what}"


def describe_seeds(seeds: Sequence[int]) -> str:
    """`seed 0`, `seeds 0-2` or `seeds 11, 13`."""
    if len(seeds) == 1:
        return f"seed {seeds[0]}"
    if list(seeds) == list(range(seeds[0], seeds[0] + len(seeds))):
        return f"seeds {seeds[0]}-{seeds[-1]}"
    return f"seeds {', '.join(map(str, seeds))}"
