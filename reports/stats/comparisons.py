"""Rows of a table compared with the baseline, or with the best row, seed by seed.

>>> values = {label: cell.values for label, cell in aggregate(results, metric).items()}
>>> compare_with("w/o contrast", values, np.random.default_rng(0))["pixel memory"].p_holm
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import comb

import numpy as np

from reports.stats.intervals import Interval, mean_interval
from reports.stats.looks import Looks, sequential_p
from reports.stats.p_values import ALPHA, holm, paired_t, sign_flip
from reports.stats.pairs import MIN_SEEDS, WhyNot, paired, why_not

__all__ = ["Comparison", "compare_with", "compare_with_best"]

Values = Mapping[str, Mapping[int, float]]
"""Row label -> seed -> finite value, as `reports.tables.aggregate.Cell.values`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """One row against another over the seeds both have, in the unit of the values."""

    n: int
    """Shared seeds."""
    difference: float | None = None
    """Mean paired difference, the row minus the other; None without a shared seed."""
    interval: Interval | None = None
    """95 % interval of `difference`, uncorrected; None below three shared seeds."""
    p_t: float | None = None
    """p of the paired t test; with `looks` the sequential p."""
    p_flip: float | None = None
    """p of the exact sign-flip test; None with `looks`, which it is not corrected for."""
    p_holm: float | None = None
    """`p_t` (`p_flip` if the differences have no spread) corrected over the rows; significance is judged by this."""
    untested: WhyNot | None = None
    """Why there is no t test; its text is shown to the reader."""

    @property
    def distinguishable(self) -> bool:
        """Whether the difference is significant at `ALPHA`, corrected over the rows."""
        return self.p_holm is not None and self.p_holm <= ALPHA


def compare_with(
    baseline: str,
    values: Values,
    generator: np.random.Generator,
    *,
    looks: Looks | None = None,
    family: int | None = None,
) -> dict[str, Comparison]:
    """Every other row compared with `baseline`, p corrected by Holm over the rows.

    Pass `looks` if the number of seeds was chosen while looking at the results (`until: decided`), and `family`, the
    number of comparisons, if `values` holds only some of the rows. Raises KeyError when `baseline` is not in `values`.
    """
    return corrected(compare_rows(baseline, values, generator, looks), family)


def compare_with_best(
    best: str,
    values: Values,
    generator: np.random.Generator,
    *,
    looks: Looks | None = None,
    family: int | None = None,
) -> dict[str, Comparison]:
    """Every other row compared with the row that came out `best`, without intervals; see `compare_with`.

    The best row was selected by the same seeds, and the best of six equal rows looks better than the rest: Holm over
    its five comparisons calls a row worse in 8.6 % of all sweeps without any true difference (five seeds). Any pair
    could have become one of these comparisons, so Holm is taken over all 15 pairs: 3.2 %.
    """
    found = compare_rows(best, values, generator, looks, interval=False)
    same = sum(item.untested is WhyNot.IDENTICAL for item in found.values())
    return corrected(found, comb(len(values) - same, 2) if family is None else family)


def compare_rows(
    other: str,
    values: Values,
    generator: np.random.Generator,
    looks: Looks | None,
    *,
    interval: bool = True,
) -> dict[str, Comparison]:
    """The comparisons before any correction over the rows."""
    return {
        label: compare(paired(row, values[other])[1], generator, looks, interval=interval)
        for label, row in values.items()
        if label != other
    }


def compare(
    difference_N: np.typing.NDArray[np.float64],
    generator: np.random.Generator,
    looks: Looks | None,
    *,
    interval: bool,
) -> Comparison:
    """One comparison by its paired differences, not yet corrected over the rows."""
    n, untested = len(difference_N), why_not(difference_N)
    difference = float(difference_N.mean()) if n else None
    found = Comparison(n=n, difference=difference, untested=untested)
    if n < MIN_SEEDS or difference is None:
        return found
    if interval:
        found = replace(found, interval=mean_interval(difference_N, generator))
    if looks is None:
        found = replace(found, p_flip=sign_flip(difference_N, generator))
    if untested is not None:
        return found
    return replace(found, p_t=float(paired_t(difference_N) if looks is None else sequential_p(difference_N, looks)))


def corrected(found: Mapping[str, Comparison], family: int | None) -> dict[str, Comparison]:
    """The same with Holm over the rows. Rows equal to the other in every seed are no members of the family."""
    p_by_label = {
        label: item.p_flip if item.p_t is None else item.p_t
        for label, item in found.items()
        if item.untested is not WhyNot.IDENTICAL
    }
    p_M = holm(np.array(list(p_by_label.values()), dtype=np.float64), family)  # None becomes NaN
    p_holm = {label: float(p) for label, p in zip(p_by_label, p_M, strict=True) if np.isfinite(p)}
    return {label: replace(item, p_holm=p_holm.get(label)) for label, item in found.items()}
