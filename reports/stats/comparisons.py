"""Rows of a table compared with the baseline, or with the best row, seed by seed: one test and one verdict per pair.

>>> values = {label: cell.values for label, cell in aggregate(results, metric).items()}
>>> compare_with("w/o contrast", values)["pixel memory"].p_holm
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import comb
from typing import TypeVar

import numpy as np

from reports.stats.intervals import Interval, mean_interval
from reports.stats.looks import Looks, sequential_p
from reports.stats.p_values import ALPHA, holm, paired_t
from reports.stats.pairs import MIN_SEEDS, WhyNot, paired, sample_std, why_not

__all__ = ["Comparison", "compare", "compare_with", "compare_with_best", "corrected"]

K = TypeVar("K")

Values = Mapping[str, Mapping[int, float]]
"""Row label -> seed -> finite value, as `reports.tables.aggregate.Cell.values`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """One row against another over the seeds both have, in the unit of the values."""

    n: int
    """Shared seeds."""
    difference: float | None = None
    """Mean paired difference, the row minus the other; None without a shared seed."""
    spread: float | None = None
    """Sample standard deviation of the paired differences; None below three shared seeds."""
    interval: Interval | None = None
    """95 % interval of `difference`, uncorrected; None below three shared seeds."""
    p_t: float | None = None
    """p of the paired t test; with `looks` the sequential p."""
    p_holm: float | None = None
    """`p_t` corrected over the family; the verdict is judged by this."""
    family: int = 0
    """Number of comparisons that `p_holm` is corrected for; 0 where nothing is tested."""
    untested: WhyNot | None = None
    """Why there is no t test; its text is shown to the reader."""

    @property
    def distinguishable(self) -> bool:
        """Whether the difference is significant at `ALPHA`, corrected over the family."""
        return self.p_holm is not None and self.p_holm <= ALPHA

    @property
    def indistinguishable(self) -> bool:
        """Whether the two rows were tested and the difference is not significant."""
        return self.p_holm is not None and not self.distinguishable


def compare_with(
    baseline: str, values: Values, *, looks: Looks | None = None, family: int | None = None
) -> dict[str, Comparison]:
    """Every other row compared with `baseline`, p corrected by Holm over the rows.

    Pass `looks` if the number of seeds was chosen while looking at the results (`until: decided`), and `family`, the
    number of comparisons, if `values` holds only some of the rows. Raises KeyError when `baseline` is not in `values`.
    """
    return corrected(compare_rows(baseline, values, looks), family)


def compare_with_best(
    best: str, values: Values, *, looks: Looks | None = None, family: int | None = None
) -> dict[str, Comparison]:
    """Every other row compared with the row that came out `best`, for tables without a baseline; see `compare_with`.

    The best row was selected by the same seeds, and the best of six equal rows looks better than the rest: Holm over
    its five comparisons calls a row worse in 8.6 % of all sweeps without any true difference (five seeds). Any pair
    could have become one of these comparisons, so Holm is taken over all 15 pairs: 3.2 %.
    """
    found = compare_rows(best, values, looks)
    same = sum(item.untested is WhyNot.IDENTICAL for item in found.values())
    return corrected(found, comb(len(values) - same, 2) if family is None else family)


def compare_rows(other: str, values: Values, looks: Looks | None) -> dict[str, Comparison]:
    """The comparisons before any correction over the rows."""
    return {label: compare(paired(row, values[other])[1], looks) for label, row in values.items() if label != other}


def compare(difference_N: np.typing.NDArray[np.float64], looks: Looks | None = None) -> Comparison:
    """One comparison by its N >= 0 paired differences, not yet corrected for others."""
    n, untested = len(difference_N), why_not(difference_N)
    difference = float(difference_N.mean()) if n else None
    if n < MIN_SEEDS:
        return Comparison(n=n, difference=difference, untested=untested)
    p_t = None
    if untested is None:
        p_t = float(paired_t(difference_N) if looks is None else sequential_p(difference_N, looks))
    return Comparison(
        n=n,
        difference=difference,
        spread=float(sample_std(difference_N)),
        interval=mean_interval(difference_N),
        p_t=p_t,
        untested=untested,
    )


def corrected(found: Mapping[K, Comparison], family: int | None = None) -> dict[K, Comparison]:
    """The same, corrected by Holm over those with a p. `family` is their number if there are more than these.

    Raises ValueError for a family smaller than that.
    """
    tested = {label: item.p_t for label, item in found.items() if item.p_t is not None}
    size = len(tested) if family is None else family
    p_M = holm(np.array(list(tested.values()), dtype=np.float64), size)
    p_holm = dict(zip(tested, map(float, p_M), strict=True))
    return {
        label: replace(item, p_holm=p_holm[label], family=size) if label in p_holm else item
        for label, item in found.items()
    }
