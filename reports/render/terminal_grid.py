"""The lines of a table in a terminal: columns of given places, padded, with row headers that may wrap."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from reports.render.markdown import minus
from reports.tables.cell_text import CellText, Mark
from reports.tables.layout import Header, Slot, TableLayout, TableLine

__all__ = ["Part", "TerminalGrid"]

GAP = 2
"""Cells between two columns."""
SYMBOLS = {
    Mark.ALIKE: "≈",
    Mark.FEWER: "†",
    Mark.PROVISIONAL: "‡",
    Mark.MIXED: "§",
    Mark.CHOSEN: "‖",
}
MISSING, SHARED, SIGNIFICANT = "–", "¶", "*"
ARROWS = ("↑", "↓", "→")
LEAST_CUT = 6
"""Cells that remain of a word that is longer than the terminal allows."""
STYLES = {Mark.BEST: "bold", Mark.SECOND: "underline"}


@dataclass(frozen=True, kw_only=True, slots=True)
class CellWidths:
    """Terminal cells of what the cells of a column consist of."""

    mean: int = 0
    std: int = 0
    marks: int = 0
    delta: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """Columns that are printed side by side."""

    places: tuple[int, ...]
    """Of the columns of figures, in the layout."""
    row_headers: tuple[int, ...]
    """Widths of the columns of row headers."""
    figures: tuple[int, ...]
    """Widths of the columns of figures."""

    @property
    def width(self) -> int:
        """Of a line."""
        widths = (*self.row_headers, *self.figures)
        return sum(widths) + GAP * (len(widths) - 1)


class TerminalGrid:
    """A layout, measured in terminal cells."""

    def __init__(self, layout: TableLayout, rule: str) -> None:
        """`rule`: the character that rules are made of."""
        self.layout = layout
        self.rule = rule
        self.headers = layout.headers
        self.slots = [placed(line) for line in layout.lines]
        """Of each line, the slots by the places of their columns, with the place at which each begins."""
        self.widths = [self.widths_at(place) for place in range(len(self.headers))]

    # -- widths

    def part(self, places: Sequence[int], *, tight: bool = False, width: int | None = None) -> Part:
        """The columns at `places`; the row headers wrap to fit into `width`, and if `tight` the others wrap too."""
        figures = tuple(self.figure_width(place, tight=tight) for place in places)
        natural = Part(places=tuple(places), row_headers=self.natural_headers, figures=figures)
        if width is None:
            return natural
        widths = list(self.natural_headers)
        least = self.least_headers if len(places) > 1 else (LEAST_CUT,) * len(widths)  # one column has to fit
        for _ in range(natural.width - width):
            reducible = [place for place in range(len(widths)) if widths[place] > least[place]]
            if not reducible:
                break
            widths[max(reducible, key=lambda place: widths[place])] -= 1
        return Part(places=tuple(places), row_headers=tuple(widths), figures=figures)

    def split(self, places: Sequence[int], width: int) -> list[Part]:
        """Parts of `places` that fit into `width`.

        The columns below one spanner stay together where they can, then a metric with its interval and p.
        """
        parts: list[list[int]] = [[]]
        for group in self.groups:
            whole = [place for place in group if place in places]
            if self.fits([*parts[-1], *whole], width):
                parts[-1] += whole
                continue
            for columns in [whole] if self.fits(whole, width) else self.metrics(whole):
                if parts[-1] and not self.fits([*parts[-1], *columns], width):
                    parts.append([])
                for place in columns:
                    if parts[-1] and not self.fits([*parts[-1], place], width):
                        parts.append([])
                    parts[-1].append(place)
        return [self.part(part, tight=True, width=width) for part in parts]

    def metrics(self, places: Sequence[int]) -> list[list[int]]:
        """The places, each metric's with those of the columns after it that are about it."""
        found: list[list[int]] = []
        for place in places:
            if found and not self.headers[place].key and self.headers[found[-1][0]].key:
                found[-1].append(place)
            else:
                found.append([place])
        return found

    def fits(self, places: Sequence[int], width: int) -> bool:
        """Whether the columns at `places` fit side by side."""
        return self.part(places, tight=True, width=width).width <= width

    @cached_property
    def groups(self) -> list[range]:
        """The places below each spanner; all places if there is none."""
        starts = [0]
        for spanner in self.layout.spanners or (Header(text="", span=len(self.headers)),):
            starts.append(starts[-1] + spanner.span)
        return [range(start, end) for start, end in pairwise(starts)]

    @cached_property
    def natural_headers(self) -> tuple[int, ...]:
        """Widths of the row headers on one line each."""
        return tuple(max(map(cell_len, texts)) for texts in self.header_texts)

    @cached_property
    def least_headers(self) -> tuple[int, ...]:
        """Widths of the row headers' longest words."""
        return tuple(longest_word(texts) for texts in self.header_texts)

    @cached_property
    def header_texts(self) -> list[list[str]]:
        """What stands in each column of row headers, its name first."""
        columns = [[name] for name in self.layout.row_header_names]
        for line in self.layout.lines:
            for column, text in zip(columns, row_texts(line), strict=False):
                column.append(text)
        return columns

    def figure_width(self, place: int, *, tight: bool) -> int:
        """Width of a column of figures: of its header, which may wrap if `tight`, and of its cells."""
        header = self.headers[place]
        title = longest_word([header.label]) if tight else cell_len(header.label)
        alone = [slot for slot, _ in self.slots_at(place) if slot.span == 1]
        return max([title, *(self.cell(slot, self.widths[place]).cell_len for slot in alone)])

    def widths_at(self, place: int) -> CellWidths:
        """What the cells of a column consist of, each as wide as the widest."""
        alone = [slot for slot, _ in self.slots_at(place) if slot.span == 1]
        texts = [slot.cell_text for slot in alone if slot.cell_text is not None]
        return CellWidths(
            mean=max((len(slot.text if slot.cell_text is None else slot.cell_text.mean) for slot in alone), default=0),
            std=max((len(std_of(text)) for text in texts), default=0),
            marks=max((len(text.marks) for text in texts if text.mean), default=0),
            delta=max((len(text.delta) for text in texts), default=0),
        )

    def slots_at(self, place: int) -> list[tuple[Slot, int]]:
        """The slots of all lines that begin in a column, with the places at which they begin."""
        return [found for by_place in self.slots if (found := by_place.get(place)) and found[1] == place]

    # -- lines

    def lines(self, part: Part) -> Iterator[Text]:
        """The lines of a part: headers, and the body with its rules."""
        rule = Text(self.rule * part.width, style="dim", no_wrap=True)
        if self.layout.spanners:
            yield self.spanner_line(part)
        names = [
            wrapped(name, width) for name, width in zip(self.layout.row_header_names, part.row_headers, strict=True)
        ]
        titles = [
            wrapped(self.headers[place].label, width) for place, width in zip(part.places, part.figures, strict=True)
        ]
        height = max(1, *(len(lines) for lines in [*names, *titles]))
        for number in range(height):
            texts = [bottom(lines, height)[number] for lines in [*names, *titles]]
            yield joined([Text(text) for text in texts], (*part.row_headers, *part.figures), "bold")
        yield rule
        for line, by_place in zip(self.layout.lines, self.slots, strict=True):
            if line.ruled:
                yield rule
            if line.heading:
                yield Text(line.heading, style="italic")
                continue
            yield from self.body_lines(part, line, by_place)

    def body_lines(self, part: Part, line: TableLine, by_place: dict[int, tuple[Slot, int]]) -> Iterator[Text]:
        """The lines of one row: more than one if its headers wrap."""
        headers = [wrapped(text, width) for text, width in zip(row_texts(line), part.row_headers, strict=True)]
        figures: list[Text] = []
        widths: list[int] = []
        previous: Slot | None = None
        for place, width in zip(part.places, part.figures, strict=True):
            slot, _ = by_place.get(place, (Slot(), place))
            if slot is previous and slot.span > 1:  # the same cell goes through
                widths[-1] += GAP + width
                continue
            previous = slot
            figures.append(self.cell(slot, self.widths[place] if slot.span == 1 else CellWidths()))
            widths.append(width)
        for number in range(max([1, *map(len, headers)])):
            texts = [Text(lines[number] if number < len(lines) else "") for lines in headers]
            yield joined([*texts, *figures] if number == 0 else texts, (*part.row_headers, *widths))

    def spanner_line(self, part: Part) -> Text:
        """The spanners above the columns of a part."""
        texts = [Text("") for _ in part.row_headers]
        widths = list(part.row_headers)
        for group, spanner in zip(self.groups, self.layout.spanners, strict=True):
            below = [width for place, width in zip(part.places, part.figures, strict=True) if place in group]
            if below:
                texts.append(Text(spanner.label))
                widths.append(sum(below) + GAP * (len(below) - 1))
        return joined(texts, tuple(widths), "bold")

    def cell(self, slot: Slot, widths: CellWidths) -> Text:
        """`32.34 ± 2.76≈ +0.77`, its parts as wide as the column wants them."""
        found = slot.cell_text
        if found is None:
            return Text(minus(one_line(slot.text)).rjust(widths.mean))
        if not found.mean:
            return Text((found.missing or MISSING).rjust(widths.mean))
        text = Text(" " * (widths.mean - len(found.mean)))
        text.append(minus(found.mean), style=STYLES.get(found.rank, ""))
        text.append(std_of(found).ljust(widths.std))
        text.append("".join(SYMBOLS[mark] for mark in found.marks).ljust(widths.marks))
        if found.delta:
            star = SIGNIFICANT if found.significant else ""
            text.append(f" {minus(found.delta).rjust(widths.delta)}{star}", style="" if star else "dim")
        return text


def placed(line: TableLine) -> dict[int, tuple[Slot, int]]:
    """The slots of a line by the places of the columns that they cover, with the place at which each begins."""
    found: dict[int, tuple[Slot, int]] = {}
    start = 0
    for slot in line.slots:
        found.update(dict.fromkeys(range(start, start + slot.span), (slot, start)))
        start += slot.span
    return found


def row_texts(line: TableLine) -> list[str]:
    """The row headers of a line; empty where the one above spans it."""
    texts = [one_line(header.text) if header.lines else "" for header in line.row_headers]
    return [texts[0] + SHARED, *texts[1:]] if line.shared else texts


def std_of(text: CellText) -> str:
    """` ± 2.76`; empty without a spread."""
    return f" ± {text.std}" if text.mean and text.std else ""


def joined(texts: Sequence[Text], widths: Sequence[int], style: str = "") -> Text:
    """The texts side by side, each padded to its width, without spaces at the end."""
    line = Text(style=style, no_wrap=True, overflow="ellipsis")
    for place, (text, width) in enumerate(zip(texts, widths, strict=False)):
        last = place == len(texts) - 1
        line.append_text(text)
        line.append("" if last else " " * (width - text.cell_len + GAP))
    line.rstrip()
    return line


def bottom(lines: Sequence[str], height: int) -> list[str]:
    """The lines below empty ones."""
    return [*[""] * (height - len(lines)), *lines]


def wrapped(text: str, width: int) -> list[str]:
    """`text` in lines of at most `width` cells, broken between words; of a longer word the beginning."""
    lines: list[str] = []
    for word in words_of(text):
        if lines and cell_len(lines[-1]) + 1 + cell_len(word) <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(word if cell_len(word) <= width else set_cell_size(word, max(width - 1, 0)) + "…")
    return lines


def words_of(text: str) -> list[str]:
    """The words; an arrow belongs to the one before it."""
    words: list[str] = []
    for word in text.split():
        if words and word in ARROWS:
            words[-1] += f" {word}"
        else:
            words.append(word)
    return words


def longest_word(texts: Sequence[str]) -> int:
    """Width of the longest word of the texts."""
    return max((cell_len(word) for text in texts for word in words_of(text)), default=0)


def one_line(text: str) -> str:
    """`text` without line breaks."""
    return " ".join(text.split())
