"""Pairs of values by shared seeds: trials of the same seed start from the same weights and see the same batches.

Axes: N shared seeds.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

__all__ = ["MIN_SEEDS", "Pairs", "WhyNot", "paired", "sample_std", "spreadless", "why_not"]

MIN_SEEDS = 3
"""Fewer pairs are not tested: two have one degree of freedom; their interval is 13 standard deviations wide."""

ROUNDING = 1e-9
"""A range below this share of the values themselves is rounding, not spread."""


class WhyNot(StrEnum):
    """Why two rows are not tested; the text is shown to the reader."""

    NO_PAIRS = "no seed in common"
    ONE_PAIR = "a single seed in common: no test"
    TWO_PAIRS = "two seeds in common: no test"
    IDENTICAL = "equal in every seed"
    """The rows share their trials, or what differs between them has no effect."""
    NO_SPREAD = "the same difference in every seed: no t test"
    FEW_DATA_SETS = "fewer than six data sets: no test over them"


Pairs = tuple[tuple[int, ...], NDArray[np.float64]]
"""Seeds and differences, in the order of the seeds."""


def paired(values: Mapping[int, float], other: Mapping[int, float]) -> Pairs:
    """The N shared seeds, ascending, and value - other value of each; mere rounding becomes zero."""
    seeds = tuple(sorted(values.keys() & other.keys()))
    left_N = np.array([values[seed] for seed in seeds], dtype=np.float64)
    right_N = np.array([other[seed] for seed in seeds], dtype=np.float64)
    difference_N = left_N - right_N
    difference_N[np.abs(difference_N) <= 1e-14 * np.maximum(np.abs(left_N), np.abs(right_N))] = 0.0
    return seeds, difference_N


def sample_std(value_N: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sample standard deviation (ddof 1) over the last axis; NaN for a single value."""
    if value_N.shape[-1] < 2:
        return np.full(value_N.shape[:-1], np.nan)
    return np.asarray(value_N.std(axis=-1, ddof=1))


def spreadless(value_N: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Whether all values over the last axis are equal up to rounding."""
    span = value_N.max(axis=-1) - value_N.min(axis=-1)
    return np.asarray(span <= ROUNDING * np.abs(value_N).max(axis=-1))


def why_not(difference_N: NDArray[np.float64]) -> WhyNot | None:
    """Why these N differences are not t-tested; None when they are."""
    n = difference_N.shape[-1]
    if n < MIN_SEEDS:
        return (WhyNot.NO_PAIRS, WhyNot.ONE_PAIR, WhyNot.TWO_PAIRS)[n]
    if not difference_N.any():
        return WhyNot.IDENTICAL
    return WhyNot.NO_SPREAD if bool(spreadless(difference_N)) else None
