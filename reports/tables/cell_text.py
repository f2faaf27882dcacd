"""What the cells of a column print: digits, rank, difference, and the marks that keep a reader from trusting too much.

Ranked are complete cells of at least two seeds, by the value as printed, so that equal digits get equal marks. Rows are
compared seed by seed (`reports.stats`): with the baseline for the difference, its interval and its p; with the best for
the mark *not distinguishable from the best*.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from math import comb

import numpy as np

from orchestrator.store.records import AttemptRecord, State, SweepRecord
from reports.stats import Comparison, Looks, compare_with, compare_with_best
from reports.tables.aggregate import Cell
from reports.tables.columns import Column

__all__ = ["ALPHA", "CellText", "Mark", "Origin", "make_cell_texts", "origins_of"]

ALPHA = 0.05


class Mark(StrEnum):
    """What a note explains; the renderers know how each looks."""

    NONE = "none"
    BEST = "best"
    SECOND = "second"
    ALIKE = "alike"
    """≈ on a value: not distinguishable from the best."""
    DELTA = "delta"
    """The signed subscript."""
    SIGNIFICANT = "significant"
    """* behind it."""
    FEWER = "fewer"
    """† on a value: fewer seeds than planned."""
    PROVISIONAL = "provisional"
    """‡ on a value: planned runs are still to come."""
    MIXED = "mixed"
    """§ on a value: different code or data within the cell, or against the baseline."""
    MISSING = "missing"
    """An en dash instead of a value."""
    SHARED = "shared"
    """¶ on a row's label."""
    PUBLISHED = "published"
    """A column of figures that others printed."""


@dataclass(frozen=True, slots=True)
class Origin:
    """The code and the data behind a run; two runs are comparable where these are equal."""

    commit: str
    diff: str
    """Digest of uncommitted changes; empty for a clean checkout."""
    data: str

    @classmethod
    def of(cls, record: AttemptRecord) -> Origin:
        """That of one attempt; what its record does not say is empty."""
        facts = record.environment
        return cls(facts.get("commit", ""), facts.get("diff") or facts.get("dirty", ""), facts.get("data", ""))

    @property
    def text(self) -> str:
        """For the small print: `commit 1a2b3c4 with changes d41d8c, data 9e107d9`."""
        code = f"commit {self.commit[:7] or 'unknown'}" + (f" with changes {self.diff[:7]}" if self.diff else "")
        return f"{code}, data {self.data[:7]}" if self.data else code


def origins_of(sweep: SweepRecord, outcomes: Mapping[str, AttemptRecord]) -> dict[str, frozenset[Origin]]:
    """By row label the origins of its finished runs."""
    found: dict[str, set[Origin]] = {row.label: set() for row in sweep.rows}
    for cell in sweep.cells:
        record = outcomes.get(cell.trial_id)
        if record is not None and record.state is State.DONE:
            found[cell.row].add(Origin.of(record))
    return {label: frozenset(origins) for label, origins in found.items()}


@dataclass(frozen=True, kw_only=True, slots=True)
class CellText:
    """What one cell prints. `mean` is empty where there is no value, `std` below two seeds, `delta` without one."""

    cell: Cell
    mean: str = ""
    std: str = ""
    delta: str = ""
    interval: str = ""
    """95 % interval of `delta`; empty below three shared seeds."""
    rank: Mark = Mark.NONE
    """`BEST`, `SECOND` or `NONE`."""
    marks: tuple[Mark, ...] = ()
    """`ALIKE`, `FEWER`, `PROVISIONAL`, `MIXED`, as they apply."""
    comparison: Comparison | None = field(default=None, compare=False)
    """With the baseline, in the unit of the records."""

    @property
    def significant(self) -> bool:
        """The difference is more than the seeds explain, corrected over the rows."""
        return self.comparison is not None and self.comparison.distinguishable(ALPHA)

    @property
    def missing(self) -> str:
        """Why there is no value, in a word; empty where the run is there and does not report it."""
        gaps = [gap for gap in self.cell.gaps.values() if gap.of_run]
        if self.cell.n or len(gaps) < len(self.cell.gaps) or not gaps:
            return ""
        return next((gap for gap in gaps if not gap.outstanding), gaps[0]).value

    @property
    def p(self) -> float | None:
        """Holm-corrected p of the difference; None where it is not tested."""
        return None if self.comparison is None else self.comparison.p_holm


def make_cell_texts(
    column: Column,
    cells: Mapping[str, Cell],
    origins: Mapping[str, frozenset[Origin]],
    baseline: str | None,
    shown: Collection[str],
    looks: Looks | None = None,
) -> dict[str, CellText]:
    """The cells of one column by row label, those of the rows `shown`; `looks` where seeds were added until decided.

    Ranks and corrections are over all rows, shown or not. Where all ranked cells show the same digits, or only one can
    be ranked, nothing is marked best.
    """
    scores = score_of(column, cells)
    places = sorted(set(scores.values()), reverse=True)
    ranks = dict(zip(places, (Mark.BEST, Mark.SECOND), strict=False)) if len(places) > 1 else {}
    alike = alike_rows(scores, cells, shown, looks) if ranks else frozenset()
    compared = compare_rows(column, cells, baseline, shown, looks)
    known = origins.get(baseline, frozenset()) if baseline is not None else frozenset()
    cell_texts = {}
    for label in shown:
        cell, found = cells[label], compared.get(label)
        marks = [Mark.ALIKE] if label in alike else []
        if cell.n:
            marks += [Mark.PROVISIONAL] if cell.provisional else [Mark.FEWER] if not cell.complete else []
            marks += [Mark.MIXED] if column.ranked and differ(origins.get(label, frozenset()), known) else []
        cell_texts[label] = CellText(
            cell=cell,
            mean="" if cell.mean is None else column.text(cell.mean),
            std="" if cell.std is None else column.text(cell.std),
            delta="" if cell.delta is None or not column.ranked else column.difference(cell.delta),
            interval=interval_text(column, found),
            rank=ranks.get(scores[label], Mark.NONE) if label in scores else Mark.NONE,
            marks=tuple(marks),
            comparison=found,
        )
    return cell_texts


def score_of(column: Column, cells: Mapping[str, Cell]) -> dict[str, float]:
    """What rows are ranked by, larger is better: the value as printed; only of those that may be ranked."""
    if not column.ranked or column.direction is None:
        return {}
    sign = -1.0 if column.direction == "down" else 1.0
    return {
        label: sign * column.shown(cell.mean)
        for label, cell in cells.items()
        if cell.rankable and cell.mean is not None
    }


def alike_rows(
    scores: Mapping[str, float], cells: Mapping[str, Cell], shown: Collection[str], looks: Looks | None
) -> frozenset[str]:
    """Ranked rows that the seeds cannot tell from the best one; nobody below three seeds, where nothing is tested."""
    best = max(scores, key=lambda label: scores[label])
    values = {label: cells[label].values for label in scores if label == best or label in shown}
    family = comb(len(scores), 2) if len(values) < len(scores) else None
    found = compare_with_best(best, values, np.random.default_rng(0), looks=looks, power=False, family=family)
    return frozenset(
        label
        for label, item in found.items()
        if scores[label] != scores[best] and item.p_holm is not None and item.p_holm > ALPHA
    )


def compare_rows(
    column: Column, cells: Mapping[str, Cell], baseline: str | None, shown: Collection[str], looks: Looks | None
) -> dict[str, Comparison]:
    """Each row against the baseline; nothing in columns that show no differences."""
    if baseline is None or not column.ranked or not cells[baseline].n:
        return {}
    values = {label: cells[label].values for label in cells if label == baseline or label in shown}
    family = len(cells) - 1 if len(values) < len(cells) else None
    return compare_with(baseline, values, np.random.default_rng(0), looks=looks, power=False, family=family)


def differ(origins: frozenset[Origin], baseline: frozenset[Origin]) -> bool:
    """Whether these runs come from different code or data than one another or than the baseline's.

    A fact that a record lacks contradicts nothing.
    """
    together = origins | baseline
    return any(
        len({getattr(origin, fact) for origin in together if origin.commit or fact == "data"} - empty) > 1
        for fact, empty in (("commit", {""}), ("diff", set[str]()), ("data", {""}))
    )


def interval_text(column: Column, comparison: Comparison | None) -> str:
    """`[+0.41, +2.10]`."""
    if comparison is None or comparison.interval is None:
        return ""
    interval = comparison.interval
    return f"[{column.difference(interval.low)}, {column.difference(interval.high)}]"
