"""Plain values: what a trainer reports, as Python's own types.

A record that held a value of another type, such as `torch.__version__` or a NumPy scalar, would import that library
wherever it is unpickled, or could not be written as JSON.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from numbers import Integral, Real
from typing import Any

__all__ = ["plain_numbers", "plain_texts"]


def plain_numbers(metrics: Mapping[str, Any]) -> dict[str, float]:
    """Metrics with numbers of Python's own types. Raises TypeError for what is no number."""
    return {str(name): plain_number(name, value) for name, value in metrics.items()}


def plain_number(name: str, value: Any) -> float:
    """The number `value`: an int, or a float. Raises TypeError with the metric's `name`."""
    if type(value) in (int, float):
        return value  # type: ignore[no-any-return]
    with suppress(AttributeError, TypeError, ValueError, RuntimeError):  # a scalar of NumPy, PyTorch, JAX
        value = value.item()
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, Real):
        return float(value)
    raise TypeError(f"metric {name} is of type {type(value).__name__}; report a number")


def plain_texts(facts: Mapping[str, Any]) -> dict[str, str]:
    """Facts as texts of Python's own type."""
    return {str(name): str(value) for name, value in facts.items()}
