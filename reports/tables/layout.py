"""Where rows and columns stand on paper: a line per row, lines grouped by a factor, or a matrix of two factors.

Still without a format: a `TableLayout` is lines of slots, and every renderer walks over it. It shows what the `Table` holds
and computes nothing but places.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from orchestrator.store.records import Row
from reports.tables.cell_text import CellText, Mark
from reports.tables.columns import Column
from reports.tables.row_headers import RowHeaders, level_texts, short_names

__all__ = [
    "Header",
    "RowHeader",
    "Slot",
    "TableLayout",
    "TableLine",
    "list_layout",
    "marks_in",
    "matrix_keys",
    "matrix_layout",
    "p_text",
]

WIDEST_MATRIX = 8
"""Columns of numbers; a further metric that would go beyond them is left to the other files."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Header:
    """Header of one column, or (with `span`) of several."""

    text: str
    arrow: str = ""
    key: str = ""
    """Name of the metric in the records; empty where the column is not one."""
    span: int = 1

    @property
    def label(self) -> str:
        """Text and arrow on one line."""
        return f"{self.text} {self.arrow}".strip()


@dataclass(frozen=True, kw_only=True, slots=True)
class RowHeader:
    """One leading cell."""

    text: str
    lines: int = 1
    """So many lines it stands for, downwards; 0 where the one above does."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Slot:
    """One cell: an cell_text, or a plain text."""

    cell_text: CellText | None = None
    column: Column | None = None
    label: str = ""
    """Row of the cell_text."""
    text: str = ""
    span: int = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class TableLine:
    """One line of the body, or a heading across all columns."""

    row_headers: tuple[RowHeader, ...] = ()
    slots: tuple[Slot, ...] = ()
    heading: str = ""
    label: str = ""
    """The row's label; empty in a matrix, whose lines hold several rows."""
    baseline: bool = False
    shared: bool = False
    """Printed with a ¶: another row has the same runs."""
    ruled: bool = False
    """A rule stands above it."""
    ours: bool = True
    """False: figures that others published."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TableLayout:
    """The table as it stands on paper."""

    row_header_names: tuple[str, ...]
    headers: tuple[Header, ...]
    lines: tuple[TableLine, ...]
    spanners: tuple[Header, ...] = ()
    """A line of headers above the others; empty where there is none."""
    checks: bool = False
    """All leading columns but the first hold check marks."""
    left_out: tuple[str, ...] = ()
    """Headers of columns for which there was no room."""


def list_layout(
    row_headers: RowHeaders,
    columns: Sequence[Column],
    rows: Sequence[tuple[Row, Sequence[CellText]]],
    *,
    baseline: str | None,
    shared: frozenset[str],
    published: Mapping[str, Mapping[str, float]],
    intervals: bool,
) -> TableLayout:
    """A line per row. `published` maps labels to figures by metric, in the unit of the column's header."""
    headers: list[Header] = []
    for column in columns:
        headers.append(Header(text=column.header, arrow=column.arrow, key=column.key))
        if has_intervals(intervals, column, baseline):
            headers += [Header(text="95 % interval of Δ"), Header(text="p")]
        if any(column.key in values for values in published.values()):
            headers.append(Header(text=f"{column.name}, published", arrow=column.arrow))
    lines = []
    for place, (row, cell_texts) in enumerate(rows):
        slots: list[Slot] = []
        for column, cell_text in zip(columns, cell_texts, strict=True):
            slots.append(Slot(cell_text=cell_text, column=column, label=row.label))
            if has_intervals(intervals, column, baseline):
                slots += [Slot(text=cell_text.interval), Slot(text=p_text(cell_text.p))]
            if any(column.key in values for values in published.values()):
                value = published.get(row.label, {}).get(column.key)
                slots.append(Slot(text="" if value is None else f"{value:.{column.decimals}f}"))
        lines.append(
            TableLine(
                row_headers=tuple(RowHeader(text=text) for text in row_headers.texts[place]),
                slots=tuple(slots),
                label=row.label,
                baseline=row.label == baseline,
                shared=row.label in shared,
                ruled=place > 0 and rows[place - 1][0].label == baseline,
            )
        )
    return TableLayout(
        row_header_names=row_headers.names,
        headers=tuple(headers),
        lines=tuple(merge(lines, row_headers.merged)),
        checks=row_headers.checks,
    )


def has_intervals(wanted: bool, column: Column, baseline: str | None) -> bool:
    """Whether a column is followed by the interval and the p of its differences."""
    return wanted and column.ranked and baseline is not None


def p_text(p: float | None) -> str:
    """`0.031`, `< 0.001`; empty where nothing was tested."""
    return "" if p is None else "< 0.001" if p < 0.001 else f"{p:.3f}"


def merge(lines: Sequence[TableLine], columns: int) -> list[TableLine]:
    """The lines with equal neighbours of the first `columns` leading texts shown once; groups are ruled."""
    merged = list(lines)
    for index in range(columns):
        start = 0
        for _, group in groupby(
            merged, key=lambda line: [row_header.text for row_header in line.row_headers[: index + 1]]
        ):
            count = len(list(group))
            for place in range(start, start + count):
                line = merged[place]
                row_header = replace(line.row_headers[index], lines=count if place == start else 0)
                ruled = line.ruled or (index == 0 and place == start > 0)
                row_headers = (*line.row_headers[:index], row_header, *line.row_headers[index + 1 :])
                merged[place] = replace(line, row_headers=row_headers, ruled=ruled)
            start += count
    first = [line.row_headers[0].lines for line in merged if line.row_headers]
    if columns and not any(count > 1 for count in first):  # nothing was merged: no rule between single lines either
        return list(lines)
    return merged


def matrix_keys(rows: Sequence[Row], keys: Sequence[str], down: Sequence[str]) -> tuple[str, str] | None:
    """The factors that run down and across.

    Two must be set in every row, with a row for more than half of all pairs and none twice; None otherwise. The
    one with fewer levels runs across, unless `down` names it.
    """
    if len(keys) != 2 or not all(key in row.factors for row in rows for key in keys):
        return None
    pairs = [tuple(repr(row.factors[key]) for key in keys) for row in rows]
    levels = [len(level_texts(rows, key)) for key in keys]
    if len(set(pairs)) < len(pairs) or len(pairs) * 2 <= levels[0] * levels[1] or min(levels) < 2:
        return None
    first, second = keys
    swapped = second in down or (first not in down and levels[0] < levels[1])
    return (second, first) if swapped else (first, second)


def matrix_layout(
    keys: tuple[str, str],
    columns: Sequence[Column],
    rows: Sequence[tuple[Row, Sequence[CellText]]],
    *,
    baseline: str | None,
) -> TableLayout:
    """One factor down, one across, a block of columns per ranked metric; a baseline outside the grid has a line."""
    down, across = keys
    inside = [(row, cell_texts) for row, cell_texts in rows if down in row.factors and across in row.factors]
    apart = [(row, cell_texts) for row, cell_texts in rows if row.label not in {other.label for other, _ in inside}]
    down_levels = level_texts([row for row, _ in inside], down)
    across_levels = level_texts([row for row, _ in inside], across)
    ranked = [place for place, column in enumerate(columns) if column.ranked] or [0]
    places = ranked[: max(1, WIDEST_MATRIX // len(across_levels))]
    by_pair = {(repr(row.factors[down]), repr(row.factors[across])): (row, cell_texts) for row, cell_texts in inside}
    lines = [
        TableLine(
            row_headers=(RowHeader(text=row.label),),
            slots=tuple(
                Slot(cell_text=cell_texts[place], column=columns[place], label=row.label, span=len(across_levels))
                for place in places
            ),
            baseline=row.label == baseline,
            label=row.label,
        )
        for row, cell_texts in apart
    ]
    for number, (level, text) in enumerate(down_levels.items()):
        slots = []
        for place in places:
            for other in across_levels:
                found = by_pair.get((level, other))
                slots.append(
                    Slot(text="")
                    if found is None
                    else Slot(cell_text=found[1][place], column=columns[place], label=found[0].label)
                )
        lines.append(
            TableLine(row_headers=(RowHeader(text=text),), slots=tuple(slots), ruled=number == 0 and bool(apart))
        )
    down_name, across_name = short_names((down, across))
    return TableLayout(
        row_header_names=(f"{down_name} ↓ {across_name} →",),
        spanners=tuple(
            Header(
                text=columns[place].header,
                arrow=columns[place].arrow,
                key=columns[place].key,
                span=len(across_levels),
            )
            for place in places
        ),
        headers=tuple(Header(text=text) for _ in places for text in across_levels.values()),
        lines=tuple(lines),
        left_out=tuple(column.header for place, column in enumerate(columns) if place not in places),
    )


def marks_in(layout: TableLayout) -> set[Mark]:
    """The marks that appear on paper, hence need a note."""
    cell_texts = [slot.cell_text for line in layout.lines for slot in line.slots if slot.cell_text is not None]
    used = {cell_text.rank for cell_text in cell_texts} | {mark for cell_text in cell_texts for mark in cell_text.marks}
    for mark, present in (
        (Mark.DELTA, any(cell_text.delta for cell_text in cell_texts)),
        (Mark.SIGNIFICANT, any(cell_text.delta and cell_text.significant for cell_text in cell_texts)),
        (Mark.MISSING, any(not cell_text.mean and not cell_text.missing for cell_text in cell_texts)),
        (Mark.SHARED, any(line.shared for line in layout.lines)),
        (Mark.PUBLISHED, any(header.text.endswith(", published") for header in layout.headers)),
    ):
        if present:
            used.add(mark)
    return used - {Mark.NONE}
