"""Short names of dotted config keys, as tables and MLflow show them."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["short_names"]


def short_names(keys: Sequence[str]) -> tuple[str, ...]:
    """The shortest ending of each dotted key that no other key shares.

    >>> short_names(["contrast.memory.kind", "contrast.mining.kind", "contrast.temperature"])
    ('memory.kind', 'mining.kind', 'temperature')
    """
    parts = [key.split(".") for key in keys]
    names = []
    for own in parts:
        length = next(
            (length for length in range(1, len(own)) if sum(other[-length:] == own[-length:] for other in parts) == 1),
            len(own),
        )
        names.append(".".join(own[-length:]))
    return tuple(names)
