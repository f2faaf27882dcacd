"""Lines and tables that commands print: laid out by rich on a terminal, plain text with a line each when piped."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TextIO, TypeAlias

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

__all__ = ["Line", "Part", "TextTable", "plain", "print_parts", "show"]

INDENT = 2
"""Characters by which the later lines of a wrapped line are indented."""
LONGEST_WORD = 16
"""Longer ones may be broken: ids, paths."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line, or a cell of a table."""

    text: str
    style: str = ""
    """On a terminal, as rich names it: `bold`, `green`."""
    whole: bool = False
    """Not wrapped: a line of a traceback."""
    command: str = ""
    """What follows the text, to be copied: it is on a line of its own where both do not fit into one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TextTable:
    """Columns below a header; `right` are the places of those with figures, aligned right and never wrapped."""

    header: Sequence[str]
    rows: Sequence[Sequence[str | Line]]
    right: frozenset[int] = frozenset()

    @property
    def narrowest(self) -> int:
        """Columns of a terminal that it takes at least: whole figures, and whole words of up to `LONGEST_WORD`."""
        rows = [self.header, *(list(map(text_of, row)) for row in self.rows)]
        widths = [
            max(len(cell) for cell in column)
            if place in self.right
            else max((min(len(word), LONGEST_WORD) for cell in column for word in cell.split()), default=0)
            for place, column in enumerate(zip(*rows, strict=True))
        ]
        return sum(widths) + 2 * (len(widths) - 1)


Part: TypeAlias = str | Line | TextTable
"""What commands print, one below the other; a string is a line without style."""


def print_parts(parts: Iterable[Part], stream: TextIO | None = None) -> None:
    """Print to `stream`, by default standard output: for its width if it is a terminal, else as `plain`."""
    stream = sys.stdout if stream is None else stream
    if not stream.isatty():
        stream.writelines(f"{line}\n" for line in plain(parts))
        stream.flush()
        return
    from rich.console import Console  # takes a tenth of a second

    show(parts, Console(file=stream, highlight=False))


def plain(parts: Iterable[Part]) -> list[str]:
    """Each line as it is, and each row of a table as a line, however long."""
    return [line for part in parts for line in plain_lines(part)]


def plain_lines(part: Part) -> Iterator[str]:
    """The lines of one part."""
    if not isinstance(part, TextTable):
        yield from text_of(part).split("\n")
        return
    rows = [tuple(part.header), *(tuple(map(text_of, row)) for row in part.rows)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [
            cell.rjust(width) if place in part.right else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        yield "  ".join(cells).rstrip()


def text_of(item: str | Line) -> str:
    """The text of a line or a cell."""
    if isinstance(item, str):
        return item
    return f"{item.text} {item.command}" if item.command else item.text


def show(parts: Iterable[Part], console: Console) -> None:
    """Print to a terminal: long lines and cells are wrapped between words."""
    for part in parts:
        if not isinstance(part, TextTable):
            show_line(part if isinstance(part, Line) else Line(part), console)
        elif part.narrowest <= console.width:
            console.print(laid_out(part))
        else:
            show_line(Line("\n".join(plain_lines(part)), whole=True), console)


def show_line(line: Line, console: Console) -> None:
    """Print a line; later ones of a wrapped line are indented."""
    from rich.text import Text

    found = Text(text_of(line), style=line.style)
    if line.whole or found.cell_len <= console.width:
        console.print(found, soft_wrap=True)
        return
    if line.command:
        indent = len(line.text) - len(line.text.lstrip()) + INDENT
        show_line(Line(line.text, line.style), console)
        show_line(Line(" " * indent + line.command, line.style, whole=True), console)
        return
    for number, piece in enumerate(found.wrap(console, console.width - INDENT)):
        piece.rstrip()
        console.print(Text(" " * INDENT if number else "") + piece, soft_wrap=True)


def laid_out(table: TextTable) -> Table:
    """The table of rich: figures are never cut, texts are wrapped."""
    from rich.table import Table
    from rich.text import Text

    found = Table(box=None, pad_edge=False, header_style="dim")
    for place, title in enumerate(table.header):
        figures = place in table.right
        found.add_column(title, justify="right" if figures else "left", no_wrap=figures, overflow="fold")
    for row in table.rows:
        lines = (cell if isinstance(cell, Line) else Line(cell) for cell in row)
        found.add_row(*(Text(line.text, style=line.style) for line in lines))
    return found
