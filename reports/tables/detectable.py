"""The line below a table that says which differences its seeds could have shown, column by column."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median_low

from reports.stats.comparisons import Comparison
from reports.stats.looks import Looks
from reports.stats.p_values import ALPHA
from reports.stats.power import POWER, detectable_difference
from reports.tables.columns import Column
from reports.tables.layout import TableRow

__all__ = ["POWER_TEXT", "Detectable", "detectable", "detectable_note"]

POWER_TEXT = f"{POWER:.0%} power"


@dataclass(frozen=True, kw_only=True, slots=True)
class Detectable:
    """The smallest difference that the tests of one column find with 80 % probability."""

    size: float
    """In the unit of the records."""
    seeds: int
    """Shared seeds of a test."""
    text: str
    """`size` in the unit and precision of the column."""


def detectable(column: Column, comparisons: Iterable[Comparison], looks: Looks | None) -> Detectable | None:
    """From the comparisons of a column; None where nothing is tested.

    The spread of the paired differences is pooled over the rows. The level is that of Holm's first step, at which a row
    is judged if no other differs. With `looks`, the level is that of the last look with all its seeds.
    """
    tested = [item for item in comparisons if item.p_t is not None]
    if not tested:
        return None
    freedom = sum(item.n - 1 for item in tested)
    spread = math.sqrt(math.fsum((item.n - 1) * (item.spread or 0.0) ** 2 for item in tested) / freedom)
    level = ALPHA / max(item.family for item in tested)
    seeds = median_low(item.n for item in tested)
    if looks is not None:
        level, seeds = looks.last_level(level), looks.last
    size = detectable_difference(spread, seeds, level)
    return Detectable(size=size, seeds=seeds, text=column.text(size))


def detectable_note(
    columns: Sequence[Column], rows: Sequence[TableRow], baseline: str | None, looks: Looks | None
) -> str:
    """The line; empty where nothing is tested."""
    found: dict[int, list[str]] = {}
    for place, column in enumerate(columns):
        comparisons = [row.cell_texts[place].comparison for row in rows]
        size = detectable(column, [item for item in comparisons if item is not None], looks)
        if size is not None:
            found.setdefault(size.seeds, []).append(f"{column.name} {size.text}")
    if not found:
        return ""
    what = f"difference to “{baseline}”" if baseline is not None else "difference to the best row"
    sizes = "; ".join(f"with {seeds} seeds {', '.join(texts)}" for seeds, texts in found.items())
    return (
        f"Smallest {what} that is found with {POWER_TEXT}: {sizes}, in the unit of the column (the test of the table, "
        "with the spread of the paired differences pooled over the rows)."
    )
