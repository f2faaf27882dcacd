r"""A table in LaTeX with booktabs: a fragment for `\input`, and a preview that compiles with pdflatex by itself.

A table wider than the text or taller than a page is scaled down, a table of more than 45 lines continues in another
float, and long words may break, so that no box is overfull.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from reports.render.latex_text import escape
from reports.tables.cell_text import CellText, Mark
from reports.tables.layout import Header, RowHeader, Slot, TableLayout, TableLine
from reports.tables.table import Table

__all__ = ["PACKAGES", "document", "render_latex", "render_preview"]

PACKAGES = ("amssymb", "array", "booktabs", "graphicx", "multirow")
"""What the fragment needs in the preamble."""
PREAMBLE = (
    f"\\usepackage{{{','.join(PACKAGES[:-1])}}}",
    r"\IfFileExists{multirow.sty}{\usepackage{multirow}}{} % a small TeX has none: the text stands in the first line",
    r"\providecommand\multirow[3]{#3}",
)
"""Preamble of our own documents, which must compile with any TeX distribution."""
FLOAT_PAGES = r"\makeatletter\setlength{\@fptop}{0pt}\setlength{\@fpsep}{18pt}\makeatother"
"""Pages with floats only are filled from the top."""

LINES_PER_FLOAT = 45
LONG_LABEL = 36
"""Characters above which a leading column has a fixed width and wraps its texts."""
WIDEST_IN_COLUMN = 80
"""Characters above which the table spans both columns of a two-column paper (`table*`)."""

MARKS = {
    Mark.ALIKE: r"\approx",
    Mark.FEWER: r"\dagger",
    Mark.PROVISIONAL: r"\ddagger",
    Mark.MIXED: r"\S",
    Mark.CHOSEN: r"\|",
    Mark.SHARED: r"\P",
}
SYMBOLS = {
    **{mark: f"$^{{{symbol}}}$" for mark, symbol in MARKS.items()},
    Mark.BEST: r"\textbf{Bold}",
    Mark.SECOND: r"\underline{Underlined}",
    Mark.DELTA: r"$_\mathrm{subscript}$",
    Mark.SIGNIFICANT: "$_{*}$",
    Mark.MISSING: "--",
    Mark.PUBLISHED: r"\emph{Published}",
}


def render_latex(table: Table) -> str:
    """A `table` environment with caption, label, tabular and notes: a fragment."""
    name = " ".join(table.name.split())
    label = re.sub(r"[^\w:.+@/-]", "-", table.label or f"tab:{table.name}", flags=re.ASCII)
    parts = split_lines(table.layout)
    lines = [
        f"% Made by `python -m reports` from the records of the sweep {name}; needs",
        f"% \\usepackage{{{','.join(PACKAGES)}}}",
    ]
    kind = "table*" if width_of(table.layout) > WIDEST_IN_COLUMN else "table"
    for number, layout in enumerate(parts):
        caption = escape(table.caption) if number == 0 else f"{escape(table.name)}, continued."
        lines += [
            f"\\begin{{{kind}}}[t]",
            r"  \centering\emergencystretch=3em",
            f"  \\caption{{{caption}}}",
            *([f"  \\label{{{label}}}"] if number == 0 else []),
            r"  \smallskip",
            r"  \small\setlength{\tabcolsep}{4pt}",
            *tabular(layout),
            *(notes_of(table) if number == len(parts) - 1 else []),
            f"\\end{{{kind}}}",
        ]
    return "\n".join(lines) + "\n"


def render_preview(table: Table) -> str:
    """A whole document with the table alone."""
    return document(render_latex(table))


def document(body: str, options: str = "10pt", geometry: str = "margin=2cm") -> str:
    """A document with what our fragments need."""
    return "\n".join(
        [
            f"\\documentclass[{options}]{{article}}",
            f"\\usepackage[a4paper,{geometry}]{{geometry}}",
            *PREAMBLE,
            FLOAT_PAGES,
            r"\begin{document}",
            body.rstrip("\n"),
            r"\end{document}",
            "",
        ]
    )


def placed(line: TableLine) -> Iterator[tuple[int, Slot]]:
    """The slots of a line with the column of numbers in which each starts."""
    place = 0
    for slot in line.slots:
        yield place, slot
        place += slot.span


def width_of(layout: TableLayout) -> int:
    """Approximate width in characters."""
    widths = [
        max([len(name), *(min(len(line.row_headers[place].text), LONG_LABEL) for line in headed(layout))])
        for place, name in enumerate(layout.row_header_names)
    ]
    numbers = [len(header.label) for header in layout.headers]
    for line in layout.lines:
        for place, slot in placed(line):
            cell = slot.cell_text
            if slot.span == 1:
                text = slot.text if cell is None else f"{cell.mean} {cell.std} {cell.delta}"
                numbers[place] = max(numbers[place], len(text))
    return sum(widths) + sum(numbers) + 2 * (len(widths) + len(numbers))


def headed(layout: TableLayout) -> list[TableLine]:
    """The lines that are not headings."""
    return [line for line in layout.lines if line.row_headers]


def split_lines(layout: TableLayout) -> list[TableLayout]:
    """The layout in parts that fit on a page each; a row header that spans a cut is repeated after it."""
    parts = []
    cuts = [0]
    height = 0
    for place, line in enumerate(layout.lines):
        height += max((-(-len(header.text) // LONG_LABEL) for header in line.row_headers), default=1) or 1
        if height > LINES_PER_FLOAT and place > cuts[-1]:
            cuts.append(place)
            height = 1
    for start, end in zip(cuts, [*cuts[1:], len(layout.lines)], strict=True):
        lines = list(layout.lines[start:end])
        if start and lines[0].row_headers:
            headers = []
            for place, header in enumerate(lines[0].row_headers):
                rest = (n for n, line in enumerate(lines[1:], 1) if line.row_headers and line.row_headers[place].lines)
                headers.append(header if header.lines else replace(header, lines=next(rest, len(lines))))
            lines[0] = replace(lines[0], row_headers=tuple(headers))
        for place, line in enumerate(lines):
            left = len(lines) - place
            headers = [replace(header, lines=min(header.lines, left)) for header in line.row_headers]
            lines[place] = replace(line, row_headers=tuple(headers))
        parts.append(replace(layout, lines=tuple(lines)))
    return parts


def tabular(layout: TableLayout) -> list[str]:
    """The tabular, scaled down if it is wider than the text or taller than most of a page."""
    long = [
        max((len(line.row_headers[place].text) for line in headed(layout)), default=0) > LONG_LABEL
        for place in range(len(layout.row_header_names))
    ]
    wide = r">{\raggedright\arraybackslash}p{0.42\linewidth}"
    kinds = ["c" if layout.checks and place else wide if is_long else "l" for place, is_long in enumerate(long)]
    widths = column_widths(layout)
    headers = [*map(escape, layout.row_header_names), *map(header_text, layout.headers)]
    lines = [f"  \\sbox0{{\\begin{{tabular}}{{{''.join(kinds)}{'r' * len(layout.headers)}}}", r"    \toprule"]
    if layout.spanners:
        lines += spanner_lines(layout)
    lines += [tex_line(headers), r"    \midrule"]
    for place, line in enumerate(layout.lines):
        if line.ruled and place:
            lines.append(r"    \midrule")
        lines.append(tex_line(line_texts(line, widths, long)))
    return [
        *lines,
        r"    \bottomrule",
        r"  \end{tabular}}",
        r"  \ifdim\wd0>\linewidth\sbox0{\resizebox{\linewidth}{!}{\usebox0}}\fi",
        r"  \ifdim\dimexpr\ht0+\dp0\relax>.7\textheight\sbox0{\resizebox*{!}{.7\textheight}{\usebox0}}\fi",
        r"  \usebox0",
    ]


def spanner_lines(layout: TableLayout) -> list[str]:
    """The headers above the headers, each with its rule."""
    cells, rules, start = [""] * len(layout.row_header_names), [], len(layout.row_header_names) + 1
    for header in layout.spanners:
        cells.append(f"\\multicolumn{{{header.span}}}{{c}}{{{header_text(header)}}}")
        rules.append(f"\\cmidrule(lr){{{start}-{start + header.span - 1}}}")
        start += header.span
    return [tex_line(cells), f"    {' '.join(rules)}"]


def header_text(header: Header) -> str:
    """Text and arrow."""
    return f"{escape(header.text)} {escape(header.arrow)}".strip()


def notes_of(table: Table) -> list[str]:
    """What the marks mean."""
    texts = [
        f"{SYMBOLS[note.mark]}: {escape(note.text)}" if note.mark in SYMBOLS else escape(note.text)
        for note in table.notes
    ]
    if not texts:
        return []
    return [
        "",
        r"  \smallskip",
        r"  \parbox{\linewidth}{\footnotesize\raggedright\emergencystretch=3em",
        *(f"    {text} \\par" for text in texts[:-1]),
        f"    {texts[-1]}}}",
    ]


def column_widths(layout: TableLayout) -> list[tuple[str, str]]:
    """Per column of numbers its widest difference and marks: cells without them reserve the width."""
    widths = [("", "")] * len(layout.headers)
    for line in layout.lines:
        for place, slot in placed(line):
            if slot.cell_text is not None and slot.span == 1:
                delta, marks = widths[place]
                widths[place] = (
                    max(delta, difference(slot.cell_text), key=len),
                    max(marks, marks_of(slot.cell_text), key=len),
                )
    return widths


def line_texts(line: TableLine, widths: Sequence[tuple[str, str]], long: Sequence[bool]) -> list[str]:
    """Row headers and cells of one line; a heading spans all of them."""
    if line.heading:
        return [f"\\multicolumn{{{len(long) + len(widths)}}}{{l}}{{\\emph{{{escape(line.heading)}}}}}"]
    texts = [row_header_text(header, is_long) for header, is_long in zip(line.row_headers, long, strict=True)]
    if line.shared:
        texts[0] += SYMBOLS[Mark.SHARED]
    for place, slot in placed(line):
        text = slot_text(slot, widths[place] if slot.span == 1 else ("", ""))
        texts.append(text if slot.span == 1 else f"\\multicolumn{{{slot.span}}}{{c}}{{{text}}}")
    return texts


def row_header_text(header: RowHeader, is_long: bool) -> str:
    """A leading cell; it spans several lines where equal neighbours are merged."""
    if header.lines == 0:
        return ""
    text = escape(header.text)
    return f"\\multirow{{{header.lines}}}{{{'=' if is_long else '*'}}}{{{text}}}" if header.lines > 1 and text else text


def slot_text(slot: Slot, width: tuple[str, str]) -> str:
    """A cell, or a plain text with typographic minus signs."""
    if slot.cell_text is not None:
        return render_cell(slot.cell_text, width)
    return re.sub(r"(?<![\w.])-(?=\d)", "$-$", escape(slot.text))


def difference(cell_text: CellText) -> str:
    """The digits of the subscript, with its star."""
    return f"{cell_text.delta}{'*' if cell_text.significant else ''}" if cell_text.delta else ""


def marks_of(cell_text: CellText) -> str:
    """The superscript."""
    return "".join(MARKS[mark] for mark in cell_text.marks)


def render_cell(cell_text: CellText, width: tuple[str, str]) -> str:
    r"""`\textbf{43.10}\,{\scriptsize $\pm$\,0.52}\,$^{\dagger}_{+1.20}$`."""
    if not cell_text.mean:
        return f"\\emph{{{cell_text.missing}}}" if cell_text.missing else SYMBOLS[Mark.MISSING]
    text = cell_text.mean.replace("-", "$-$")
    if cell_text.rank is Mark.BEST:
        text = f"\\textbf{{{text}}}"
    elif cell_text.rank is Mark.SECOND:
        text = f"\\underline{{{text}}}"
    if cell_text.std:
        text += f"\\,{{\\scriptsize $\\pm$\\,{cell_text.std}}}"
    delta, marks = difference(cell_text), marks_of(cell_text)
    above = f"^{{{marks}}}" if marks else f"^{{\\phantom{{{width[1]}}}}}" if width[1] else ""
    if delta:
        sign = "" if delta[0] in "+-" else r"\phantom{+}"
        missing = r"\phantom{*}" if width[0].endswith("*") and not delta.endswith("*") else ""
        return f"{text}\\,$\\vphantom{{0}}{above}_{{{sign}{delta}{missing}}}$"
    if width[0]:
        return f"{text}\\,$\\vphantom{{0}}{above}_{{\\phantom{{{width[0]}}}}}$"
    return f"{text}$\\vphantom{{0}}{above}$" if above else text


def tex_line(cells: Sequence[str]) -> str:
    """One line of the tabular."""
    return f"    {' & '.join(cells)} \\\\"
