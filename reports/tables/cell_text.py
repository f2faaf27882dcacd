"""What the cells of a column print: digits, rank, difference to the baseline, and the marks that qualify a value.

Complete cells of at least two seeds are ranked by the value as printed, so that equal digits get equal ranks. Each row
is compared once, seed by seed (`reports.stats`): with the baseline, or in a table without one with the best row. The
interval, the p, * and ≈ of a cell all come from this one comparison.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from math import comb

from reports.stats.comparisons import Comparison, compare_with, compare_with_best
from reports.stats.looks import Looks
from reports.tables.aggregate import Cell
from reports.tables.columns import Column
from reports.tables.origin import Origin, differ

__all__ = ["CellText", "Mark", "make_cell_texts", "ranks_of"]


class Mark(StrEnum):
    """What a note explains; each renderer has a symbol for it."""

    NONE = "none"
    BEST = "best"
    SECOND = "second"
    ALIKE = "alike"
    """≈ on a value: tested, and not distinguishable from the baseline; without a baseline, from the best."""
    DELTA = "delta"
    """The signed subscript."""
    SIGNIFICANT = "significant"
    """* after the subscript: distinguishable from the baseline."""
    FEWER = "fewer"
    """† on a value: fewer seeds than planned."""
    PROVISIONAL = "provisional"
    """‡ on a value: planned runs are still to come."""
    MIXED = "mixed"
    """§ on a value: computed by other code of the trainer than the plan's, or different code or data within the cell or
    against the baseline."""
    CHOSEN = "chosen"
    """‖ on a value: measured on the split on which the row, or its checkpoint, was chosen."""
    MISSING = "missing"
    """An en dash instead of a value."""
    SHARED = "shared"
    """¶ on a row's label."""
    PUBLISHED = "published"
    """A column of published figures."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CellText:
    """What one cell prints. `mean` is empty without a value, `std` below two seeds, `delta` without a difference."""

    cell: Cell
    mean: str
    std: str
    delta: str
    interval: str
    """95% interval of `delta`, `[+0.41, +2.10]`; empty below three shared seeds."""
    rank: Mark
    """`BEST`, `SECOND` or `NONE`."""
    marks: tuple[Mark, ...]
    """`ALIKE`, `FEWER`, `PROVISIONAL`, `MIXED`, `CHOSEN`, as they apply."""
    comparison: Comparison | None = field(compare=False)
    """With the baseline, or with the best row in a table without one; in the unit of the records."""

    @classmethod
    def of(
        cls,
        column: Column,
        cell: Cell,
        comparison: Comparison | None,
        *,
        rank: Mark = Mark.NONE,
        mixed: bool = False,
    ) -> CellText:
        """The texts of `cell` in the unit and precision of `column`."""
        marks = [Mark.ALIKE] if comparison is not None and comparison.indistinguishable else []
        if cell.n:
            marks += [Mark.PROVISIONAL] if cell.provisional else [Mark.FEWER] if not cell.complete else []
            marks += [Mark.MIXED] if mixed else []
        interval = comparison.interval if comparison is not None else None
        return cls(
            cell=cell,
            mean="" if cell.mean is None else column.text(cell.mean),
            std="" if cell.std is None else column.text(cell.std),
            delta="" if cell.delta is None or not column.ranked else column.difference(cell.delta),
            interval=f"[{column.difference(interval.low)}, {column.difference(interval.high)}]" if interval else "",
            rank=rank,
            marks=tuple(marks),
            comparison=comparison,
        )

    @property
    def significant(self) -> bool:
        """The difference to the row it is compared with is significant, corrected over the family."""
        return self.comparison is not None and self.comparison.distinguishable

    @property
    def missing(self) -> str:
        """Why there is no value; empty where a run is done without reporting it."""
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
    """The cells of one column for the rows `shown`, by label; `looks` as in `compare_with`.

    Ranks and corrections are over all rows, shown or not. Where all ranked cells show the same digits, or only one can
    be ranked, none is marked best.
    """
    scores, ranks = score_of(column, cells), ranks_of(column, cells)
    if baseline is not None:
        compared = compare_to_baseline(column, cells, baseline, shown, looks)
        reference = origins.get(baseline, frozenset())
    else:
        compared = compare_to_best(scores, cells, shown, looks) if ranks else {}
        reference = frozenset()
    return {
        label: CellText.of(
            column,
            cells[label],
            compared.get(label),
            rank=ranks.get(label, Mark.NONE),
            mixed=is_mixed(origins.get(label, frozenset()), reference, ranked=column.ranked),
        )
        for label in shown
    }


def ranks_of(column: Column, cells: Mapping[str, Cell]) -> dict[str, Mark]:
    """`BEST` and `SECOND` by label; empty where all ranked cells show the same digits, or only one can be ranked."""
    scores = score_of(column, cells)
    levels = sorted(set(scores.values()), reverse=True)[:2]
    ranks = dict(zip(levels, (Mark.BEST, Mark.SECOND), strict=True)) if len(levels) > 1 else {}
    return {label: ranks[score] for label, score in scores.items() if score in ranks}


def is_mixed(origins: frozenset[Origin], reference: frozenset[Origin], *, ranked: bool) -> bool:
    """Whether a cell is marked §; of costs, which depend on the machine, only if other code computed them."""
    return any(origin.other_code for origin in origins) or (ranked and differ(origins | reference))


def score_of(column: Column, cells: Mapping[str, Cell]) -> dict[str, float]:
    """What the rankable rows are ranked by: the value as printed, negated where less is better."""
    if not column.ranked or column.direction is None:
        return {}
    sign = -1.0 if column.direction == "down" else 1.0
    return {
        label: sign * column.shown(cell.mean)
        for label, cell in cells.items()
        if cell.rankable and cell.mean is not None
    }


def compare_to_baseline(
    column: Column, cells: Mapping[str, Cell], baseline: str, shown: Collection[str], looks: Looks | None
) -> dict[str, Comparison]:
    """Each row against the baseline; empty for columns that show no differences."""
    if not column.ranked or not cells[baseline].n:
        return {}
    values = {label: cells[label].values for label in cells if label == baseline or label in shown}
    family = len(cells) - 1 if len(values) < len(cells) else None
    return compare_with(baseline, values, looks=looks, family=family)


def compare_to_best(
    scores: Mapping[str, float], cells: Mapping[str, Cell], shown: Collection[str], looks: Looks | None
) -> dict[str, Comparison]:
    """Ranked rows against the best one, without those that show the same digits."""
    best = max(scores, key=lambda label: scores[label])
    values = {label: cells[label].values for label in scores if label == best or label in shown}
    family = comb(len(scores), 2) if len(values) < len(scores) else None
    found = compare_with_best(best, values, looks=looks, family=family)
    return {label: item for label, item in found.items() if scores[label] != scores[best]}
