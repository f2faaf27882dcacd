"""Rows of a table compared with the baseline, or with the best row, seed by seed.

>>> values = {label: cell.values for label, cell in aggregate(sweep, outcomes, metric).items()}
>>> compare_with("w/o contrast", values, np.random.default_rng(0))["pixel memory"].p_holm
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import comb

import numpy as np

from reports.stats.intervals import Interval, mean_interval
from reports.stats.looks import Looks, sequential_p
from reports.stats.p_values import holm, paired_t, sign_flip
from reports.stats.pairs import WhyNot, paired, sample_std, why_not
from reports.stats.power import ALPHA, POWER, seeds_needed

__all__ = ["Comparison", "compare_with", "compare_with_best"]

Values = Mapping[str, Mapping[int, float]]
"""Row label -> seed -> finite value, as `reports.tables.aggregate.Cell.values`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """One row against another over the seeds both have, in the unit of the values."""

    reference: str
    """Label of the other row; differences are value minus its value."""
    seeds: tuple[int, ...]
    difference: float | None = None
    """Mean paired difference; None without a shared seed."""
    spread: float | None = None
    """Sample standard deviation of the paired differences; None below two shared seeds."""
    interval: Interval | None = None
    """95 % interval of `difference`, uncorrected; None below three shared seeds."""
    p_t: float | None = None
    """Paired t; with `looks` the sequential p."""
    p_flip: float | None = None
    """Exact sign flips; None with `looks`, which they are not corrected for."""
    p_holm: float | None = None
    """`p_t` corrected over the rows (`p_flip` where the differences have no spread); what decides."""
    p_flip_holm: float | None = None
    """`p_flip` corrected over the rows."""
    untested: WhyNot | None = None
    """Why there is no t test; its text is for the reader."""
    seeds_needed: int | None = None
    """Seeds with which a paired t test at 5 % finds a difference of this size and spread four times in five; None
    without a spread or where more than 10,000 are needed."""

    @property
    def n(self) -> int:
        """Shared seeds."""
        return len(self.seeds)

    @property
    def more_seeds(self) -> int | None:
        """Seeds wanted beyond those there are; 0 when there are enough, None when `seeds_needed` is."""
        return None if self.seeds_needed is None else max(0, self.seeds_needed - self.n)

    def distinguishable(self, alpha: float = ALPHA) -> bool:
        """Whether the two rows differ by more than the seeds explain, corrected over the rows."""
        return self.p_holm is not None and self.p_holm <= alpha


def compare_with(
    baseline: str,
    values: Values,
    generator: np.random.Generator,
    *,
    looks: Looks | None = None,
    family: int | None = None,
    power: bool = True,
) -> dict[str, Comparison]:
    """Every other row compared with `baseline`, p corrected by Holm over them.

    `looks` says that the number of seeds was chosen while looking (`until: decided`); `family` is the number of rows
    compared where `values` holds only some of them. Without `power` there is no `seeds_needed`, which takes most of
    the time. Raises KeyError when `baseline` is no row.
    """
    found = compare_rows(baseline, values, generator, looks, power=power)
    return corrected(found, family=family)


def compare_with_best(
    best: str,
    values: Values,
    generator: np.random.Generator,
    *,
    looks: Looks | None = None,
    family: int | None = None,
    power: bool = True,
) -> dict[str, Comparison]:
    """Every other row compared with the row that came out `best`; see `compare_with`.

    The best row was picked by the same seeds, and the best of six equal rows looks better than the rest: Holm over
    its five comparisons calls a row worse in 8.6 % of all sweeps without any difference (five seeds). Any pair could
    have become one of these comparisons, so Holm is taken over all 15 pairs: 3.2 %.
    """
    found = compare_rows(best, values, generator, looks, power=power, interval=power)
    same = sum(item.untested is WhyNot.IDENTICAL for item in found.values())
    return corrected(found, family=comb(len(values) - same, 2) if family is None else family)


def compare_rows(
    reference: str,
    values: Values,
    generator: np.random.Generator,
    looks: Looks | None,
    *,
    power: bool,
    interval: bool = True,
) -> dict[str, Comparison]:
    """The comparisons before any correction over the rows."""
    other = values[reference]
    return {
        label: compare(reference, *paired(row, other), generator, looks, power=power, interval=interval)
        for label, row in values.items()
        if label != reference
    }


def compare(
    reference: str,
    seeds: tuple[int, ...],
    difference_N: np.typing.NDArray[np.float64],
    generator: np.random.Generator,
    looks: Looks | None,
    *,
    power: bool,
    interval: bool,
) -> Comparison:
    """One row against `reference`, not yet corrected over the rows."""
    untested = why_not(difference_N)
    if untested is WhyNot.NO_PAIRS:
        return Comparison(reference=reference, seeds=seeds, untested=untested)
    difference = float(difference_N.mean())
    found = Comparison(reference=reference, seeds=seeds, difference=difference, untested=untested)
    if len(seeds) < 2:
        return found
    spread = float(sample_std(difference_N))
    found = replace(found, spread=spread)
    if untested is WhyNot.TWO_PAIRS:
        return found
    if interval:
        found = replace(found, interval=mean_interval(difference_N, generator))
    if looks is None:
        found = replace(found, p_flip=sign_flip(difference_N, generator))
    if untested is not None:
        return found
    p_t = float(paired_t(difference_N) if looks is None else sequential_p(difference_N, looks))
    needed = seeds_needed(difference, spread, ALPHA, POWER) if power else None
    return replace(found, p_t=p_t, seeds_needed=needed)


def corrected(found: Mapping[str, Comparison], family: int | None) -> dict[str, Comparison]:
    """The same with Holm over the rows. Rows equal to the reference in every seed ask nothing and do not count."""
    asked = [item for item in found.values() if item.untested is not WhyNot.IDENTICAL]
    deciding = np.array([nan_if_none(item.p_flip if item.p_t is None else item.p_t) for item in asked])
    flips = np.array([nan_if_none(item.p_flip) for item in asked])
    p_holm, p_flip_holm = iter(holm(deciding, family)), iter(holm(flips, family))
    return {
        label: item
        if item.untested is WhyNot.IDENTICAL
        else replace(item, p_holm=none_if_nan(next(p_holm)), p_flip_holm=none_if_nan(next(p_flip_holm)))
        for label, item in found.items()
    }


def nan_if_none(value: float | None) -> float:
    """NaN is what arrays call a hole."""
    return float("nan") if value is None else value


def none_if_nan(value: float) -> float | None:
    """Inverse of `nan_if_none`."""
    return None if np.isnan(value) else float(value)
