"""MapColumn: a column of maps from names to values, as flat arrays; most of its maps have the same names."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

__all__ = ["MapColumn"]

PLACE_BYTES = 4
"""Of the place of a name or of a text."""


class MapColumn(NamedTuple):
    """The maps one after the other, the entries of each in its order."""

    starts: Sequence[int]
    """Place of the first entry of each map; at the end the number of entries."""
    names: Sequence[str]
    """Each name once."""
    name_places: bytes
    """Of each entry, the place of its name in `names`, 32 bits."""
    values: Sequence[Any]
    """Of each entry: a text or a number."""
    texts: Sequence[str]
    """Each text once; none in a column of numbers."""
    value_bytes: bytes
    """Of each entry: the place of its text in `texts`, 32 bits, or the number, 64 bits."""

    def digest(self) -> str:
        """SHA-256 of the content, hexadecimal."""
        total = hashlib.sha256(json.dumps([self.starts, self.names, self.texts]).encode())
        total.update(self.name_places)
        total.update(self.value_bytes)
        return total.hexdigest()

    def maps(self) -> Iterator[dict[str, Any]]:
        """The maps, each an object of its own."""
        names_of: dict[bytes, tuple[str, ...]] = {}
        places, remaining = self.name_places, iter(self.values)
        for start, end in pairwise(self.starts):
            key = places[start * PLACE_BYTES : end * PLACE_BYTES]
            names = names_of.get(key)
            if names is None:
                names = names_of[key] = tuple(self.names[place] for place in memoryview(key).cast("i"))
            yield dict(zip(names, remaining, strict=False))

    def shared_maps(self) -> Iterator[dict[str, Any]]:
        """The maps, of which equal ones are one object."""
        known: dict[tuple[bytes, bytes], dict[str, Any]] = {}
        width = len(self.value_bytes) // max(len(self.values), 1)
        for start, end in pairwise(self.starts):
            places = self.name_places[start * PLACE_BYTES : end * PLACE_BYTES]
            key = places, self.value_bytes[start * width : end * width]
            content = known.get(key)
            if content is None:
                names = (self.names[place] for place in memoryview(places).cast("i"))
                content = known[key] = dict(zip(names, self.values[start:end], strict=True))
            yield content
