"""Interaction of two factors: what the best additive description leaves.   Axes: Y, X levels of each, S seeds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

__all__ = ["Interaction", "interaction"]


@dataclass(frozen=True, kw_only=True)
class Interaction:
    """How far the cells of a two-factor grid are from additive effects of its factors."""

    residual_YX: NDArray[np.float64]
    """Mean minus the additive description, in the unit of the values."""
    share: float
    """Share of the variation between the cells' means that is interaction, 0..1; 0 when all means are equal."""
    p: float | None
    """F test of no interaction, seeds as blocks; None with a single seed or without spread."""


def interaction(value_SYX: NDArray[np.float64]) -> Interaction | None:
    """Interaction of two factors, from complete seeds; None unless both have two levels and a seed is complete.

    A seed that lacks a cell (NaN) is left out. The seeds are blocks of a randomised block design: an effect of the seed
    on all cells is not an error, as in paired differences.
    """
    value_SYX = value_SYX[np.isfinite(value_SYX).all(axis=(1, 2))]
    seeds, levels_y, levels_x = value_SYX.shape
    if not seeds or min(levels_y, levels_x) < 2:
        return None
    mean_YX = value_SYX.mean(axis=0)
    grand = mean_YX.mean()
    residual_YX = mean_YX - mean_YX.mean(axis=0) - mean_YX.mean(axis=1, keepdims=True) + grand
    total = ((mean_YX - grand) ** 2).sum()
    noise_SYX = value_SYX - mean_YX - value_SYX.mean(axis=(1, 2), keepdims=True) + grand
    freedom = (levels_y - 1) * (levels_x - 1)
    error_freedom = (seeds - 1) * (levels_y * levels_x - 1)
    p = None
    if seeds > 1 and (noise_SYX**2).sum() > 1e-18 * (value_SYX**2).sum():
        ratio = seeds * (residual_YX**2).sum() / freedom / ((noise_SYX**2).sum() / error_freedom)
        p = float(special.fdtrc(freedom, error_freedom, ratio))
    return Interaction(residual_YX=residual_YX, share=float((residual_YX**2).sum() / total) if total else 0.0, p=p)
