r"""A table in LaTeX with booktabs: a fragment for `\input`, and a preview that compiles with pdflatex by itself.

Nothing is left to be done by hand: a table stands in one column of a paper if it is narrow enough, else over the page;
decimal points are aligned; a table of many rows or columns continues in another float. What the marks mean stands below
it in one paragraph, and what only matters to who checks the table is a comment.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from reports.render.latex_cells import BOLD, BOLD_COMMANDS, MARKS, VERDICTS, ColumnShape
from reports.render.latex_fit import SEPARATION, SMALL_OF, Fit, column_slots, fit, float_parts, header_lines
from reports.render.latex_text import escape
from reports.render.latex_width import PAGE, width_of
from reports.tables.cell_text import Mark
from reports.tables.layout import RowHeader, TableLayout, TableLine
from reports.tables.notes import Note
from reports.tables.table import Table

__all__ = ["document", "render_latex", "render_preview", "with_math"]

PREAMBLE = (
    r"\usepackage{amssymb,array,booktabs,graphicx}",
    r"\IfFileExists{multirow.sty}{\usepackage{multirow}}{} % a small TeX has none: the text stands in the first line",
    r"\providecommand\multirow[3]{#3}",
)
"""Preamble of our own documents, which must compile with any TeX distribution."""
FLOAT_PAGES = (
    r"\makeatletter\setlength{\@fptop}{0pt}\setlength{\@fpsep}{18pt}"
    r"\setlength{\@dblfptop}{0pt}\setlength{\@dblfpsep}{18pt}\makeatother"
)
"""Pages with floats only are filled from the top."""
PACKAGES = {r"\checkmark": "amssymb", r"\arraybackslash": "array", r"\multirow": "multirow"}
"""The package of each command that a fragment may use; every one needs booktabs."""

SIZES = {9: r"\small", 8: r"\footnotesize", 7: r"\scriptsize", 5: r"\tiny"}
"""In a document of 10 pt."""
TITLE = re.compile(r"(.{1,90}?[.?!]) ([A-Z].*)")
"""A caption with a short first sentence, which is set in bold."""

SYMBOLS = {
    **{mark: f"$^{{{symbol}}}$" for mark, symbol in {**MARKS, **VERDICTS, Mark.SHARED: r"\P"}.items()},
    Mark.BEST: r"\textbf{Bold}",
    Mark.SECOND: r"\underline{underlined}",
    Mark.DELTA: "subscript",
    Mark.MISSING: "--",
    Mark.PUBLISHED: r"\emph{published}",
}
ORDER = (Mark.BEST, Mark.SECOND, Mark.DELTA, Mark.SIGNIFICANT, Mark.ALIKE)
"""Of the legend; the other marks follow."""


def render_latex(table: Table) -> str:
    """A `table` environment with caption, label, tabular and notes: a fragment."""
    name = " ".join(table.name.split())
    label = re.sub(r"[^\w:.+@/-]", "-", table.label or f"tab:{table.name}", flags=re.ASCII)
    legend = legend_of(table.notes)
    parts = float_parts(titled(table), f"{table.caption} {legend}")
    body: list[str] = []
    for number, layout in enumerate(parts):
        found = fit(layout) or Fit(wide=True, size=7, width=PAGE)
        kind = "table*" if found.wide else "table"
        caption = caption_of(table.caption) if number == 0 else f"{continued(table)} (continued)."
        body += [
            f"\\begin{{{kind}}}[t]",
            r"  \centering\emergencystretch=3em",
            *([] if number == 0 else [r"  \addtocounter{table}{-1}"]),
            f"  \\caption{{{caption}}}",
            *([f"  \\label{{{label}}}"] if number == 0 else []),
            r"  \medskip",
            f"  {SIZES[found.size]}\\setlength{{\\tabcolsep}}{{{SEPARATION:g}pt}}",
            *tabular(layout, found),
            *(below(legend, found) if number == len(parts) - 1 else []),
            f"\\end{{{kind}}}",
        ]
    used = [package for command, package in PACKAGES.items() if any(command in line for line in body)]
    return "\n".join(
        [
            f"% Made by `python -m reports` from the records of the sweep {name};",
            f"% needs \\usepackage{{{','.join(sorted(['booktabs', *used]))}}}.",
            *(f"% Not printed: {' '.join(note.text.split())}" for note in table.notes if note.detail),
            *(BOLD_COMMANDS if any(BOLD in line for line in body) else ()),
            *body,
            "",
        ]
    )


def titled(table: Table) -> TableLayout:
    """The layout with the titles of the rows in place of their labels."""
    titles = {row.label: row.title for row in table.rows if row.title}
    lines = []
    for line in table.layout.lines:
        headers = (
            replace(item, text=titles[line.label]) if item.text == line.label else item for item in line.row_headers
        )
        lines.append(replace(line, row_headers=tuple(headers)) if line.label in titles else line)
    return replace(table.layout, lines=tuple(lines))


def render_preview(table: Table) -> str:
    """A whole document with the table alone."""
    return document(render_latex(table))


def document(body: str, options: str = "10pt", geometry: str = "margin=2cm", preamble: Sequence[str] = ()) -> str:
    """A document with what our fragments need, and further lines of the `preamble`."""
    return "\n".join(
        [
            f"\\documentclass[{options}]{{article}}",
            f"\\usepackage[a4paper,{geometry}]{{geometry}}",
            *PREAMBLE,
            *preamble,
            FLOAT_PAGES,
            r"\begin{document}",
            body.rstrip("\n"),
            r"\end{document}",
            "",
        ]
    )


def caption_of(text: str) -> str:
    """The caption, its first sentence in bold if it is short and others follow."""
    title = TITLE.match(" ".join(text.split()))
    if title is None:
        return escape(text)
    return f"\\textbf{{{escape(title[1])}}} {escape(title[2])}"


def continued(table: Table) -> str:
    """What the caption of a further part begins with."""
    title = TITLE.match(" ".join(table.caption.split()))
    return f"\\textbf{{{escape(title[1][:-1])}}}" if title else escape(table.name)


def legend_of(notes: Sequence[Note]) -> str:
    """What the marks mean and what else a reader must know, in one paragraph."""
    marked = sorted(
        (note for note in notes if note.mark in SYMBOLS),
        key=lambda note: ORDER.index(note.mark) if note.mark in ORDER else len(ORDER),
    )
    short = [f"{SYMBOLS[note.mark]}: {with_math(escape(note.short))}" for note in marked if note.short]
    usual = "; ".join(dict.fromkeys(short))
    sentences = [f"{usual[:1].upper()}{usual[1:]}."] if usual else []
    sentences += [f"{SYMBOLS[note.mark]}: {with_math(escape(note.text))}" for note in marked if not note.short]
    sentences += [with_math(escape(note.text)) for note in notes if note.mark not in SYMBOLS and not note.detail]
    return " ".join(sentences)


def with_math(text: str) -> str:
    """The variables of tests in italics."""
    text = re.sub(r"\bp (=|\$\\leq\$) ", lambda match: f"$p {match[1].strip('$')}$ ", text)
    return text.replace("paired t test", "paired $t$ test")


def below(legend: str, found: Fit) -> list[str]:
    """The legend, as wide as the column or as a table over the page."""
    if not legend:
        return []
    width = f"{max(found.width, PAGE / 2):.0f}pt" if found.wide else r"\linewidth"
    return ["", r"  \smallskip", f"  \\parbox{{{width}}}{{\\footnotesize\\raggedright {legend}}}"]


def tabular(layout: TableLayout, found: Fit) -> list[str]:
    """The tabular."""
    shapes = [ColumnShape.of(slots) for slots in column_slots(layout)]
    kinds = ["c" if layout.checks and place else "l" for place in range(len(layout.row_header_names))]
    if found.wrapped is not None:
        kinds[found.wrapped] = f">{{\\raggedright\\arraybackslash}}p{{{found.wrapped_width:.0f}pt}}"
    small = SMALL_OF[found.size]
    lines = [f"  \\begin{{tabular}}{{@{{}}{''.join(kinds)}{'c' * len(layout.headers)}@{{}}}}", r"    \toprule"]
    if layout.spanners:
        lines += spanner_lines(layout)
    lines += [tex_line(heads(layout, shapes, found)), r"    \midrule"]
    for place, line in enumerate(layout.lines):
        if line.ruled and place:
            lines.append(r"    \midrule")
        cells = heading(line, layout) if line.heading else line_texts(line, shapes, found, SIZES[small])
        lines.append(tex_line(cells))
    return [*lines, r"    \bottomrule", r"  \end{tabular}"]


def heads(layout: TableLayout, shapes: Sequence[ColumnShape], found: Fit) -> Iterator[str]:
    """The headers of all columns, on two lines where they are wider than their cells."""
    for place, name in enumerate(layout.row_header_names):
        texts = (line.row_headers[place].text for line in layout.lines if line.row_headers)
        width = max((width_of(text, found.size) for text in texts), default=0.0)
        kind = "c" if layout.checks and place else "l"
        yield stacked(header_lines(name, width, found.size), kind) if place != found.wrapped else escape(name)
    for header, shape in zip(layout.headers, shapes, strict=True):
        width = shape.width(found.size, SMALL_OF[found.size])
        yield stacked(header_lines(header.label, width, found.size), "c")


def stacked(lines: Sequence[str], kind: str) -> str:
    """The lines of a header above each other."""
    if len(lines) == 1:
        return header_text(lines[0])
    text = r"\\".join(map(escape, lines))
    return f"\\begin{{tabular}}[b]{{@{{}}{kind}@{{}}}}{text}\\end{{tabular}}"


def spanner_lines(layout: TableLayout) -> list[str]:
    """The headers above the headers, each with its rule."""
    cells, rules, start = [""] * len(layout.row_header_names), [], len(layout.row_header_names) + 1
    for header in layout.spanners:
        cells.append(f"\\multicolumn{{{header.span}}}{{c}}{{{header_text(header.label)}}}")
        rules.append(f"\\cmidrule(lr){{{start}-{start + header.span - 1}}}")
        start += header.span
    return [tex_line(cells), f"    {' '.join(rules)}"]


def header_text(label: str) -> str:
    """A header; `p` is a variable."""
    return "$p$" if label == "p" else escape(label)


def heading(line: TableLine, layout: TableLayout) -> list[str]:
    """A text across all columns."""
    columns = len(layout.row_header_names) + len(layout.headers)
    return [f"\\multicolumn{{{columns}}}{{@{{}}l@{{}}}}{{\\emph{{{escape(line.heading)}}}}}"]


def line_texts(line: TableLine, shapes: Sequence[ColumnShape], found: Fit, small: str) -> list[str]:
    """Row headers and cells of one line."""
    texts = [row_header_text(header, wraps=place == found.wrapped) for place, header in enumerate(line.row_headers)]
    if line.shared:
        texts[0] += SYMBOLS[Mark.SHARED]
    place = 0
    for slot in line.slots:
        shape = shapes[place] if slot.span == 1 else ColumnShape.of([slot])
        text = shape.plain(slot.text, small) if slot.cell_text is None else shape.cell(slot.cell_text, small)
        texts.append(text if slot.span == 1 else f"\\multicolumn{{{slot.span}}}{{c}}{{{text}}}")
        place += slot.span
    return texts


def row_header_text(header: RowHeader, *, wraps: bool) -> str:
    """A leading cell; it spans several lines where equal neighbours are merged."""
    if header.lines == 0:
        return ""
    text = escape(header.text)
    return f"\\multirow{{{header.lines}}}{{{'=' if wraps else '*'}}}{{{text}}}" if header.lines > 1 and text else text


def tex_line(cells: Iterator[str] | Sequence[str]) -> str:
    """One line of the tabular."""
    return f"    {' & '.join(cells)} \\\\"
