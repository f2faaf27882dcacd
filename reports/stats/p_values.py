"""p-values of a mean paired difference: the paired t test, and Holm's correction over the rows of a table.

Axes: N seeds, M hypotheses; leading axes are kept.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import special

from reports.stats.pairs import sample_std, spreadless

__all__ = ["ALPHA", "holm", "paired_t"]

Array = NDArray[np.float64]

ALPHA = 0.05
"""The level of significance of all tests."""


def paired_t(difference_N: Array) -> Array:
    """Two-sided p of the paired t test over the last axis, N >= 2; NaN where the differences have no spread."""
    n = difference_N.shape[-1]
    none = spreadless(difference_N)
    error = np.where(none, np.nan, sample_std(difference_N) / np.sqrt(n))
    return np.asarray(2 * special.stdtr(n - 1, -np.abs(difference_N.mean(axis=-1)) / error))


def holm(p_M: Array, family: int | None = None) -> Array:
    """Holm's step-down adjusted p over the last axis (Holm 1979). NaN stays NaN and is not a member of the family.

    `family` is the number of hypotheses if it is larger than M; those not given count as never rejected. Raises
    ValueError when it is smaller.
    """
    known_M = np.isfinite(p_M)
    members = known_M.sum(axis=-1, keepdims=True)
    if family is not None and family < members.max(initial=0):
        raise ValueError(f"a family of {family} cannot hold {members.max()} hypotheses")
    order_M = np.argsort(np.where(known_M, p_M, np.inf), axis=-1)
    sorted_M = np.take_along_axis(p_M, order_M, axis=-1)
    left_M = (members if family is None else family) - np.arange(p_M.shape[-1])
    adjusted_M = np.minimum(np.fmax.accumulate(sorted_M * left_M, axis=-1), 1.0)
    result_M = np.empty_like(adjusted_M)
    np.put_along_axis(result_M, order_M, adjusted_M, axis=-1)
    return np.where(known_M, result_M, np.nan)
