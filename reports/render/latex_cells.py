r"""`ColumnShape`: a column of numbers whose cells are all of one width, so that decimal points and headers align.

31.57 ±2.81             the parts that a cell lacks leave their space empty (`\phantom`)
32.34 ±2.76  +0.77≈     marks stand in boxes of a fixed width, behind the figure that they qualify
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from reports.render.latex_number import NumberShape, is_number
from reports.render.latex_text import escape
from reports.render.latex_width import width_of
from reports.tables.cell_text import CellText, Mark
from reports.tables.layout import Slot

__all__ = ["BOLD", "BOLD_COMMANDS", "MARKS", "VERDICTS", "ColumnShape"]

MARKS = {
    Mark.FEWER: r"\dagger",
    Mark.PROVISIONAL: r"\ddagger",
    Mark.MIXED: r"\S",
    Mark.CHOSEN: r"\|",
}
"""Superscripts of a value."""
VERDICTS = {Mark.ALIKE: r"\approx", Mark.SIGNIFICANT: "*"}
"""Superscripts of a difference, of which a cell has one at most."""
MARK_EM, VERDICT_EM = 0.5, 0.7
"""Widths of the box of one mark and of a verdict, in the em of the cell."""
GAP_EM = 0.17
r"""Width of `\,`."""

BOLD = r"\sweepbold"
BOLD_COMMANDS = (
    rf"\providecommand{BOLD}[1]{{{BOLD}parts#1;}}",
    rf"\def{BOLD}parts#1.#2;{{\phantom{{#1}}\llap{{\textbf{{#1}}}}\rlap{{\textbf{{.#2}}}}\phantom{{.#2}}}}",
)
"""A number with a point, bold but as wide as in the normal weight, so that points align."""

INTERVAL = re.compile(r"\[([-+]?\d+(?:\.\d+)?), ([-+]?\d+(?:\.\d+)?)\]")


@dataclass(frozen=True, kw_only=True, slots=True)
class ColumnShape:
    """What the cells of one column have together."""

    mean: NumberShape = field(default_factory=NumberShape)
    std: NumberShape = field(default_factory=NumberShape)
    delta: NumberShape = field(default_factory=NumberShape)
    ends: tuple[NumberShape, NumberShape] = (NumberShape(), NumberShape())
    """Of intervals."""
    marks: int = 0
    """Most marks on one value."""
    verdicts: bool = False
    text: str = ""
    """The longest plain text that is neither a number nor an interval."""

    @classmethod
    def of(cls, slots: Sequence[Slot]) -> ColumnShape:
        """The shape of the slots of a column, without those that span several columns.

        The spread of a cost is left out where it is printed as zero in all rows.
        """
        cells = [slot.cell_text for slot in slots if slot.cell_text is not None]
        texts = [slot.text for slot in slots if slot.cell_text is None and slot.text]
        valued = [cell for cell in cells if cell.mean]
        spreads = [cell.std for cell in valued if cell.std]
        ranked = any(slot.column is not None and slot.column.ranked for slot in slots)
        ends = [match for text in texts if (match := INTERVAL.fullmatch(text))]
        others = [text for text in texts if not is_number(text) and not INTERVAL.fullmatch(text)]
        others += [cell.missing for cell in cells if not cell.mean]
        return cls(
            mean=NumberShape.of([*(cell.mean for cell in valued), *filter(is_number, texts)]),
            std=NumberShape.of(spreads if ranked or any(map(float, spreads)) else ()),
            delta=NumberShape.of(cell.delta for cell in valued if cell.delta),
            ends=(NumberShape.of(match[1] for match in ends), NumberShape.of(match[2] for match in ends)),
            marks=max((len(marks_of(cell)) for cell in valued), default=0),
            verdicts=any(verdict_of(cell) for cell in valued),
            text=max(others, key=len, default=""),
        )

    def cell(self, cell: CellText, small: str) -> str:
        r"""A cell: `43.10~{\scriptsize$\pm$0.52}\,$_{+1.20}$`; `small` is the size of the spread."""
        if not cell.mean:
            return f"\\emph{{{cell.missing}}}" if cell.missing else "--"
        commands = {Mark.BEST: BOLD if "." in cell.mean else r"\textbf", Mark.SECOND: r"\underline"}
        mean = self.mean.aligned(cell.mean, commands.get(cell.rank, ""))
        return mean + self.behind(cell, small)

    def plain(self, text: str, small: str) -> str:
        """A plain text; a number is aligned with the values of the column."""
        if is_number(text):
            return self.mean.aligned(text) + self.behind(None, small)
        if match := INTERVAL.fullmatch(text):
            low, high = self.ends
            return f"{{[}}{low.aligned(match[1])}, {high.aligned(match[2])}{{]}}"
        return re.sub(r"(?<![\w.])-(?=\d)", "$-$", escape(text))

    def behind(self, cell: CellText | None, small: str) -> str:
        """What follows a value: spread, marks, difference and verdict, or their empty space."""
        parts = []
        if self.std.whole:
            std = self.std.aligned(cell.std) if cell is not None and cell.std else ""
            spread = f"~{{{small}$\\pm${std or self.std.widest}}}"
            parts.append(spread if std else f"\\phantom{{{spread}}}")
        if self.marks:
            marks = "".join(MARKS[mark] for mark in marks_of(cell)) if cell is not None else ""
            parts.append(box(f"^{{{marks}}}" if marks else "", MARK_EM * self.marks))
        if self.delta.whole:
            delta = self.delta.aligned_in_math(cell.delta) if cell is not None and cell.delta else ""
            subscript = f"\\,$_{{{delta or self.delta.widest}}}$"
            parts.append(subscript if delta else f"\\phantom{{{subscript}}}")
        if self.verdicts:
            verdict = verdict_of(cell) if cell is not None else ""
            shown = f"_{{^{{{verdict}}}}}" if self.delta.whole else f"^{{{verdict}}}"  # behind a subscript, or a value
            parts.append(box(shown if verdict else "", VERDICT_EM))
        return "".join(parts)

    def width(self, size: int, small: int) -> float:
        """Width in pt of its cells in a font of `size` pt, with spreads in one of `small` pt."""
        total = self.mean.width(size)
        if self.std.whole:
            total += width_of(" ", size) + width_of("±", small) + self.std.width(small)
        if self.delta.whole:
            total += GAP_EM * size + self.delta.width(max(5, min(6, size - 2)))
        total += size * (MARK_EM * self.marks + VERDICT_EM * self.verdicts)
        low, high = (end.width(size) for end in self.ends)
        return max(total, low + high + width_of("[, ]", size) if low else 0.0, width_of(self.text, size))


def marks_of(cell: CellText) -> list[Mark]:
    """The marks that qualify the value itself."""
    return [mark for mark in cell.marks if mark in MARKS]


def verdict_of(cell: CellText) -> str:
    """What the test says of the difference; empty without a verdict."""
    if Mark.ALIKE in cell.marks:
        return VERDICTS[Mark.ALIKE]
    return VERDICTS[Mark.SIGNIFICANT] if cell.delta and cell.significant else ""


def box(marks: str, em: float) -> str:
    """Marks in a box of a fixed width."""
    return f"\\makebox[{em:.2g}em][l]{{${marks}$}}" if marks else f"\\hspace*{{{em:.2g}em}}"
