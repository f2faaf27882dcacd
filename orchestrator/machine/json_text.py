"""JSON text that something else may have written or damaged: whatever is wrong with it is a ValueError."""

from __future__ import annotations

import json
from typing import Any

__all__ = ["parse_json"]

MAX_DEPTH = 100
"""Objects and lists within each other. What is not as deep can be written, compared and hashed by recursion."""


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
    level = [values]
    for _ in range(MAX_DEPTH):
        below: list[Any] = []
        for value in level:
            if isinstance(value, dict):
                below.extend(item for item in value.values() if isinstance(item, dict | list))
            elif isinstance(value, list):
                below.extend(item for item in value if isinstance(item, dict | list))
        if not below:
            return
        level = below
    raise ValueError("not JSON: nested too deeply")
