"""JSON text that something else may have written or damaged: whatever is wrong with it is a ValueError."""

from __future__ import annotations

import json
from itertools import chain
from typing import Any

__all__ = ["parse_json"]

MAX_DEPTH = 100
"""Objects and lists within each other. What is not as deep can be written, compared and hashed by recursion."""

CONTAINERS = (dict, list)


def parse_json(content: bytes | str) -> Any:
    """The value of a JSON text; `Infinity` and `NaN` are numbers, as Python writes them. Raises ValueError."""
    try:
        values = json.loads(content)
    except RecursionError as error:
        raise ValueError("not JSON: nested too deeply") from error
    except ValueError as error:
        raise ValueError(f"not JSON: {error}") from error
    text = content if isinstance(content, str) else content.decode("latin-1")  # as long: brackets are single bytes
    if text.count("[") + text.count("{") > MAX_DEPTH:
        require_depth(values)
    return values


def require_depth(values: Any) -> None:
    """Raise ValueError for a value with too many levels; goes down a level at a time, without recursion."""
    level: list[Any] = [[values]]
    for _ in range(MAX_DEPTH + 1):
        inside = chain.from_iterable(item.values() if type(item) is dict else item for item in level)
        level = [item for item in inside if type(item) in CONTAINERS]
        if not level:
            return
    raise ValueError("not JSON: nested too deeply")
