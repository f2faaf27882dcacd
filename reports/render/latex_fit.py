"""How a table is set so that it fits: float, font size, a leading column that wraps, or parts in several floats."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise

from reports.render.latex_cells import ColumnShape
from reports.render.latex_width import COLUMN, PAGE, TEXT, width_of
from reports.tables.layout import RowHeader, Slot, TableLayout, TableLine

__all__ = ["Fit", "column_slots", "fit", "float_parts", "headed", "header_lines"]

SEPARATION = 4.0
r"""`\tabcolsep`."""
NARROWEST = 110.0
"""Of a leading column that wraps."""
LINES = 46
"""Lines of a float with its caption and its notes."""
LETTERS = {False: 55, True: 110}
"""Of a line of a caption or a note, in one column or over the page."""

SMALL_OF = {9: 7, 8: 7, 7: 5}
"""Size of a spread beside a value."""
TRIES = (
    (COLUMN, 9, False),
    (COLUMN, 8, False),
    (TEXT, 9, False),
    (PAGE, 9, False),
    (PAGE, 8, False),
    (PAGE, 9, True),
    (PAGE, 8, True),
    (PAGE, 7, True),
)
"""Width of the float, size of the font, and whether the widest leading column may wrap; the first that fits is used."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Fit:
    """How one table is set.   Unit: pt."""

    wide: bool
    """Over both columns of a page (`table*`)."""
    size: int
    """Of the font: 9, 8 or 7."""
    width: float
    """Of the tabular, estimated."""
    wrapped: int | None = None
    """Leading column that wraps."""
    wrapped_width: float = 0.0


def headed(layout: TableLayout) -> list[TableLine]:
    """The lines that are not headings."""
    return [line for line in layout.lines if line.row_headers]


def column_slots(layout: TableLayout) -> list[list[Slot]]:
    """The slots of each column of numbers, without those that span several."""
    found: list[list[Slot]] = [[] for _ in layout.headers]
    for line in layout.lines:
        place = 0
        for slot in line.slots:
            if slot.span == 1:
                found[place].append(slot)
            place += slot.span
    return found


def header_lines(text: str, width: float, size: int) -> tuple[str, ...]:
    """A header on one line, or on the two that are narrowest where it is wider than the cells below it."""
    words = text.split()
    if len(words) < 2 or width_of(text, size) <= width:
        return (text,)
    pairs = [(" ".join(words[:cut]), " ".join(words[cut:])) for cut in range(1, len(words))]
    return min(pairs, key=lambda pair: max(width_of(line, size) for line in pair))


def fit(layout: TableLayout) -> Fit | None:
    """How the layout is set; None where it is too wide for a page."""
    shapes = [ColumnShape.of(slots) for slots in column_slots(layout)]
    for limit, size, wraps in TRIES:
        leading, numbers = leading_widths(layout, size), number_widths(layout, shapes, size)
        total = sum(leading) + sum(numbers) + 2 * SEPARATION * (len(leading) + len(numbers) - 1)
        if total <= limit:
            return Fit(wide=limit > COLUMN, size=size, width=total)
        if wraps and leading:
            place = leading.index(max(leading))
            left = limit - (total - leading[place])
            if left >= NARROWEST:
                return Fit(wide=True, size=size, width=limit, wrapped=place, wrapped_width=left)
    return None


def leading_widths(layout: TableLayout, size: int) -> list[float]:
    """Widths of the leading columns."""
    found = []
    for place, name in enumerate(layout.row_header_names):
        texts = max((width_of(line.row_headers[place].text, size) for line in headed(layout)), default=0.0)
        found.append(max(texts, *(width_of(line, size) for line in header_lines(name, texts, size))))
    return found


def number_widths(layout: TableLayout, shapes: Sequence[ColumnShape], size: int) -> list[float]:
    """Widths of the columns of numbers; a header above several widens the last of them, as in TeX."""
    found = []
    for header, shape in zip(layout.headers, shapes, strict=True):
        cells = shape.width(size, SMALL_OF[size])
        found.append(max(cells, *(width_of(line, size) for line in header_lines(header.label, cells, size))))
    place = 0
    for header in layout.spanners:
        inside = sum(found[place : place + header.span]) + 2 * SEPARATION * (header.span - 1)
        found[place + header.span - 1] += max(0.0, width_of(header.label, size) - inside)
        place += header.span
    return found


def float_parts(layout: TableLayout, text: str) -> list[TableLayout]:
    """The layout in parts that each fit into a float, together with the `text` of caption and notes."""
    return [part for columns in column_parts(layout) for part in line_parts(columns, text)]


def column_parts(layout: TableLayout) -> list[TableLayout]:
    """The layout, or parts of its columns that fit on a page, each with the leading columns, cut between spanners."""
    if fit(layout) is not None or len(layout.headers) < 2:
        return [layout]
    ends = list(accumulate(header.span for header in layout.spanners))
    cuts = [0]
    for end in range(2, len(layout.headers) + 1):
        if end - cuts[-1] > 1 and fit(with_columns(layout, cuts[-1], end)) is None:
            cuts.append(max((place for place in ends if cuts[-1] < place < end), default=end - 1))
    return [with_columns(layout, first, last) for first, last in pairwise([*cuts, len(layout.headers)])]


def with_columns(layout: TableLayout, start: int, end: int) -> TableLayout:
    """The layout with the columns of numbers from `start` to `end` only; what spans more is cut."""
    spanners, place = [], 0
    for header in layout.spanners:
        span = min(end, place + header.span) - max(start, place)
        if span > 0:
            spanners.append(replace(header, span=span))
        place += header.span
    lines = []
    for line in layout.lines:
        slots, place = [], 0
        for slot in line.slots:
            span = min(end, place + slot.span) - max(start, place)
            if span > 0:
                slots.append(replace(slot, span=span))
            place += slot.span
        lines.append(replace(line, slots=tuple(slots)))
    return replace(layout, headers=layout.headers[start:end], spanners=tuple(spanners), lines=tuple(lines))


def line_parts(layout: TableLayout, text: str) -> list[TableLayout]:
    """The layout in parts of lines that fit on a page; a row header that spans a cut is repeated after it."""
    found = fit(layout)
    wide = found is not None and found.wide
    room = max(LINES - len(text) // LETTERS[wide] - 2, LINES // 3)
    cuts, height = [0], 0
    for place, line in enumerate(layout.lines):
        height += lines_of(line, found)
        if height > room and place > cuts[-1]:
            cuts.append(place)
            height = lines_of(line, found)
    cuts.append(len(layout.lines))
    if len(cuts) == 2:  # one part, also of a table without lines
        return [layout]
    return [replace(layout, lines=lines_between(layout.lines, start, end)) for start, end in pairwise(cuts)]


def lines_of(line: TableLine, found: Fit | None) -> int:
    """Lines that a line of the table takes."""
    if found is None or found.wrapped is None or not line.row_headers:
        return 1
    return int(width_of(line.row_headers[found.wrapped].text, found.size) / (0.9 * found.wrapped_width)) + 1


def lines_between(all_lines: Sequence[TableLine], start: int, end: int) -> tuple[TableLine, ...]:
    """Lines whose row headers span none outside."""
    lines = list(all_lines[start:end])
    if start and lines[0].row_headers:
        headers: list[RowHeader] = []
        for place, header in enumerate(lines[0].row_headers):
            rest = (n for n, line in enumerate(lines[1:], 1) if line.row_headers and line.row_headers[place].lines)
            if header.lines:
                headers.append(header)
            else:
                headers.append(replace(header, lines=next(rest, len(lines))))
        lines[0] = replace(lines[0], row_headers=tuple(headers))
    return tuple(
        replace(
            line,
            row_headers=tuple(replace(header, lines=min(header.lines, len(lines) - n)) for header in line.row_headers),
        )
        for n, line in enumerate(lines)
    )
