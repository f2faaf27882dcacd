"""Where rows and columns are printed: a line per row, lines grouped by a factor, or a matrix of two factors.

A `TableLayout` is lines of slots in no format yet, which every renderer walks over. Laying out computes no figures.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Any

from reports.tables.cell_text import CellText, Mark
from reports.tables.columns import Column
from reports.tables.row_headers import RowHeaders, key_titles, level_texts

__all__ = [
    "Header",
    "RowHeader",
    "Slot",
    "TableLayout",
    "TableLine",
    "TableRow",
    "list_layout",
    "marks_in",
    "matrix_keys",
    "matrix_layout",
    "p_text",
]

WIDEST_MATRIX = 8
"""Columns of numbers; a further metric that exceeds them is shown in the CSV file only."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TableRow:
    """One row of a table with its cells, one per column."""

    label: str
    title: str = ""
    """What a table of several sweeps calls the row; empty: its label."""
    factors: Mapping[str, Any]
    """Dotted keys and values of the whole row, as planned."""
    titles: Mapping[str, str] = field(default_factory=dict)
    """What values of `factors` are called, by key; others are shown as they are typed."""
    cell_texts: tuple[CellText, ...]
    baseline: bool = False
    shared: bool = False
    """Printed with a ¶: another row has the same runs."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Header:
    """Header of one column, or (with `span`) of several."""

    text: str
    arrow: str = ""
    key: str = ""
    """Name of the metric in the records; empty where the column is not a metric."""
    span: int = 1

    @classmethod
    def of(cls, column: Column, span: int = 1) -> Header:
        """The header of a metric's column."""
        return cls(text=column.header, arrow=column.arrow, key=column.key, span=span)

    @property
    def label(self) -> str:
        """Text and arrow on one line."""
        return f"{self.text} {self.arrow}".strip()


@dataclass(frozen=True, kw_only=True, slots=True)
class RowHeader:
    """One leading cell of a line."""

    text: str
    lines: int = 1
    """Lines it spans downwards; 0 where the one above spans this line."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Slot:
    """One place of a line: a cell, or a plain text."""

    cell_text: CellText | None = None
    column: Column | None = None
    label: str = ""
    """Row of the cell."""
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
    """Has a rule above it."""
    ours: bool = True
    """False: published figures."""

    @classmethod
    def of(cls, row: TableRow, slots: Sequence[Slot], headers: Sequence[str] = (), *, ruled: bool = False) -> TableLine:
        """The line of one row, headed by `headers` or by its label."""
        return cls(
            row_headers=tuple(RowHeader(text=text) for text in headers or (row.label,)),
            slots=tuple(slots),
            label=row.label,
            baseline=row.baseline,
            shared=row.shared,
            ruled=ruled,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class TableLayout:
    """The table as printed."""

    row_header_names: tuple[str, ...]
    """Headers of the leading columns: `Variant`, or one per factor."""
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
    rows: Sequence[TableRow],
    *,
    published: Mapping[str, Mapping[str, float]],
    intervals: Collection[str],
) -> TableLayout:
    """A line per row.

    `published` maps labels to figures by metric, in the unit of the column's header. The columns of the metrics
    `intervals` are followed by the interval and the p of their differences.
    """
    beside = {key for values in published.values() for key in values}
    headers: list[Header] = []
    for column in columns:
        headers.append(Header.of(column))
        if column.key in intervals:
            headers += [Header(text="95% interval of Δ"), Header(text="p")]
        if column.key in beside:
            headers.append(Header(text=f"{column.name}, published", arrow=column.arrow))
    lines = []
    for place, (row, texts) in enumerate(zip(rows, row_headers.texts, strict=True)):
        slots: list[Slot] = []
        for column, cell_text in zip(columns, row.cell_texts, strict=True):
            slots.append(Slot(cell_text=cell_text, column=column, label=row.label))
            if column.key in intervals:
                slots += [Slot(text=cell_text.interval), Slot(text=p_text(cell_text.p))]
            if column.key in beside:
                value = published.get(row.label, {}).get(column.key)
                slots.append(Slot(text="" if value is None else f"{value:.{column.decimals}f}"))
        lines.append(TableLine.of(row, slots, texts, ruled=place > 0 and rows[place - 1].baseline))
    return TableLayout(
        row_header_names=row_headers.names,
        headers=tuple(headers),
        lines=tuple(merge(lines, row_headers.merged)),
        checks=row_headers.checks,
    )


def p_text(p: float | None) -> str:
    """`0.031`, `< 0.001`; empty where nothing was tested."""
    return "" if p is None else "< 0.001" if p < 0.001 else f"{p:.3f}"


def merge(lines: Sequence[TableLine], columns: int) -> list[TableLine]:
    """The lines with equal neighbours of the first `columns` leading texts shown once; groups are ruled."""
    merged = list(lines)
    for index in range(columns):
        start = 0
        for _, group in groupby(merged, key=lambda line: [header.text for header in line.row_headers[: index + 1]]):
            count = len(list(group))
            for place in range(start, start + count):
                line = merged[place]
                header = replace(line.row_headers[index], lines=count if place == start else 0)
                ruled = line.ruled or (index == 0 and place == start > 0)
                headers = (*line.row_headers[:index], header, *line.row_headers[index + 1 :])
                merged[place] = replace(line, row_headers=headers, ruled=ruled)
            start += count
    first = [line.row_headers[0].lines for line in merged if line.row_headers]
    if columns and not any(count > 1 for count in first):  # nothing was merged: no rules between single lines
        return list(lines)
    return merged


def matrix_keys(
    factors: Sequence[Mapping[str, Any]], keys: Sequence[str], down: Sequence[str]
) -> tuple[str, str] | None:
    """The factors that run down and across, given the `factors` of the rows.

    None unless there are two, set in every row, with a row for more than half of all pairs and none twice. The factor
    with fewer levels runs across, unless `down` names it.
    """
    if len(keys) != 2 or not all(key in row for row in factors for key in keys):
        return None
    pairs = [tuple(repr(row[key]) for key in keys) for row in factors]
    levels = [len({repr(row[key]) for row in factors}) for key in keys]
    if len(set(pairs)) < len(pairs) or len(pairs) * 2 <= levels[0] * levels[1] or min(levels) < 2:
        return None
    first, second = keys
    swapped = second in down or (first not in down and levels[0] < levels[1])
    return (second, first) if swapped else (first, second)


def matrix_layout(keys: tuple[str, str], columns: Sequence[Column], rows: Sequence[TableRow]) -> TableLayout:
    """One factor down, one across, a block of columns per ranked metric; a baseline outside the grid has a line."""
    down, across = keys
    inside = [row for row in rows if down in row.factors and across in row.factors]
    outside = [row for row in rows if down not in row.factors or across not in row.factors]
    down_levels, across_levels = (level_texts(inside, key) for key in keys)
    ranked = [place for place, column in enumerate(columns) if column.ranked] or [0]
    places = ranked[: max(1, WIDEST_MATRIX // len(across_levels))]
    by_pair = {(repr(row.factors[down]), repr(row.factors[across])): row for row in inside}

    def slot(row: TableRow | None, place: int, span: int = 1) -> Slot:
        if row is None:
            return Slot()
        return Slot(cell_text=row.cell_texts[place], column=columns[place], label=row.label, span=span)

    lines = [
        TableLine(
            row_headers=(RowHeader(text=row.label),),
            slots=tuple(slot(row, place, len(across_levels)) for place in places),
            label=row.label,
            baseline=row.baseline,
        )
        for row in outside
    ]
    for number, (level, text) in enumerate(down_levels.items()):
        slots = tuple(slot(by_pair.get((level, other)), place) for place in places for other in across_levels)
        lines.append(TableLine(row_headers=(RowHeader(text=text),), slots=slots, ruled=number == 0 and bool(outside)))
    down_name, across_name = key_titles(keys)
    return TableLayout(
        row_header_names=(f"{down_name} ↓ {across_name} →",),
        spanners=tuple(Header.of(columns[place], span=len(across_levels)) for place in places),
        headers=tuple(Header(text=text) for _ in places for text in across_levels.values()),
        lines=tuple(lines),
        left_out=tuple(column.header for place, column in enumerate(columns) if place not in places),
    )


def marks_in(layout: TableLayout) -> set[Mark]:
    """The marks that are printed, hence need a note."""
    texts = [slot.cell_text for line in layout.lines for slot in line.slots if slot.cell_text is not None]
    used = {text.rank for text in texts} | {mark for text in texts for mark in text.marks}
    for mark, present in (
        (Mark.DELTA, any(text.delta for text in texts)),
        (Mark.SIGNIFICANT, any(text.delta and text.significant for text in texts)),
        (Mark.MISSING, any(not text.mean and not text.missing for text in texts)),
        (Mark.SHARED, any(line.shared for line in layout.lines)),
        (Mark.PUBLISHED, any(header.text.endswith(", published") for header in layout.headers)),
    ):
        if present:
            used.add(mark)
    return used - {Mark.NONE}
