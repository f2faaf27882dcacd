r"""A table in LaTeX with booktabs: a fragment for `\input`, and a preview that compiles with pdflatex by itself.

A table wider than the text or taller than a page is scaled down, one of more than 45 lines continues in a further
float, and words that would stick out of their line may break: whatever the labels are, no box is over-full.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import replace

from reports.tables.cell_text import CellText, Mark
from reports.tables.layout import Header, RowHeader, Slot, TableLayout, TableLine
from reports.tables.table import Table

__all__ = ["PACKAGES", "document", "escape", "render_latex", "render_preview"]

PACKAGES = ("amssymb", "array", "booktabs", "graphicx", "multirow")
"""What the fragment needs in the preamble."""
PREAMBLE = (
    f"\\usepackage{{{','.join(PACKAGES[:-1])}}}",
    r"\IfFileExists{multirow.sty}{\usepackage{multirow}}{} % a small TeX has none: the text stands in the first line",
    r"\providecommand\multirow[3]{#3}",
)
"""The same for our own documents, which must compile everywhere."""
FLOAT_PAGES = r"\makeatletter\setlength{\@fptop}{0pt}\setlength{\@fpsep}{18pt}\makeatother"
"""Pages of floats only are filled from the top."""

LINES_PER_FLOAT = 45
LONG_LABEL = 36
"""Characters beyond which a leading column gets a width of its own, and its texts several lines."""
WIDEST_IN_COLUMN = 80
"""Characters beyond which the table takes both columns of a two-column paper (`table*`)."""
LONG_WORD = 20
"""Characters beyond which a word may break."""

MARKS = {
    Mark.ALIKE: r"\approx",
    Mark.FEWER: r"\dagger",
    Mark.PROVISIONAL: r"\ddagger",
    Mark.MIXED: r"\S",
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
ESCAPES = {
    **{character: f"\\{character}" for character in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': "''",
    "`": r"\`{}",
    "[": "{[}",  # after \\ a bracket or a star would be an argument
    "]": "{]}",
    "*": "{*}",
    "“": "``",
    "”": "''",
    "‘": "`",
    "’": "'",
    "–": "--",
    "—": "---",
    "…": r"\ldots{}",
    "§": r"\S{}",
    "¶": r"\P{}",
    **{
        character: f"${command}$"
        for character, command in {
            "−": "-",
            "±": r"\pm",
            "×": r"\times",
            "·": r"\cdot",
            "≤": r"\leq",
            "≥": r"\geq",
            "≈": r"\approx",
            "≠": r"\neq",
            "∞": r"\infty",
            "→": r"\rightarrow",
            "←": r"\leftarrow",
            "↑": r"\uparrow",
            "↓": r"\downarrow",
            "†": r"\dagger",
            "‡": r"\ddagger",
            "✓": r"\checkmark",
            "√": r"\surd",
            "²": "^2",
            "³": "^3",
            "µ": r"\mu",
            "°": r"^\circ",
            "α": r"\alpha",
            "β": r"\beta",
            "γ": r"\gamma",
            "δ": r"\delta",
            "ε": r"\epsilon",
            "η": r"\eta",
            "θ": r"\theta",
            "κ": r"\kappa",
            "λ": r"\lambda",
            "μ": r"\mu",
            "ν": r"\nu",
            "π": r"\pi",
            "ρ": r"\rho",
            "σ": r"\sigma",
            "τ": r"\tau",
            "φ": r"\phi",
            "ω": r"\omega",
            "Δ": r"\Delta",
            "Σ": r"\Sigma",
            "Ω": r"\Omega",
        }.items()
    },
}


def escape(text: str) -> str:
    """`text` on one line, printed as itself; a word of more than 20 characters may break.

    What pdflatex cannot print without further packages loses its accents or becomes its code point (`U+4E2D`).
    """
    return re.sub(r"(?<=\d) \\%", r"\\,\\%", " ".join(escape_word(word) for word in text.split()))


def escape_word(word: str) -> str:
    """One word; where it is long, a line may end behind its punctuation and every twelve characters."""
    pieces, since = [], 0
    for match in re.finditer(r"-{2,}|.", word):
        pieces.append(escape_part(match[0]))
        since += len(match[0])
        if len(word) > LONG_WORD and (since >= 12 or (since > 2 and not match[0].isalnum())):
            pieces.append(r"\allowbreak{}")
            since = 0
    return "".join(pieces)


def escape_part(character: str) -> str:
    """LaTeX that prints one character, or several hyphens (else `--seeds` would begin with a dash)."""
    if len(character) > 1:
        return "{-}" * len(character)
    if character in ESCAPES:
        return ESCAPES[character]
    if " " <= character <= "~" or unicodedata.normalize("NFC", character) in "äöüÄÖÜßáàâéèêëíìîïóòôúùûñçåÅøØæÆ":
        return character
    plain = unicodedata.normalize("NFKD", character).encode("ascii", "ignore").decode()
    return "".join(ESCAPES.get(part, part) for part in plain) or f"U+{ord(character):04X}"


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


def document(body: str) -> str:
    """A document that has what our fragments need."""
    return "\n".join(
        [
            r"\documentclass[10pt]{article}",
            r"\usepackage[a4paper,margin=2cm]{geometry}",
            *PREAMBLE,
            FLOAT_PAGES,
            r"\begin{document}",
            body.rstrip("\n"),
            r"\end{document}",
            "",
        ]
    )


def width_of(layout: TableLayout) -> int:
    """About how many characters stand side by side."""
    row_headers = [
        max(
            [
                len(name),
                *(min(len(line.row_headers[place].text), LONG_LABEL) for line in layout.lines if line.row_headers),
            ]
        )
        for place, name in enumerate(layout.row_header_names)
    ]
    headers = [len(header.label) for header in layout.headers]
    for line in layout.lines:
        place = 0
        for slot in line.slots:
            cell_text = slot.cell_text
            if slot.span == 1:
                text = slot.text if cell_text is None else f"{cell_text.mean} {cell_text.std} {cell_text.delta}"
                headers[place] = max(headers[place], len(text))
            place += slot.span
    return sum(row_headers) + sum(headers) + 2 * (len(row_headers) + len(headers))


def split_lines(layout: TableLayout) -> list[TableLayout]:
    """The layout in parts that fit a page each; what is merged across a cut is shown again."""
    parts = []
    cuts = [0]
    height = 0
    for place, line in enumerate(layout.lines):
        height += max((-(-len(row_header.text) // LONG_LABEL) for row_header in line.row_headers), default=1) or 1
        if height > LINES_PER_FLOAT and place > cuts[-1]:
            cuts.append(place)
            height = 1
    for start, end in zip(cuts, [*cuts[1:], len(layout.lines)], strict=True):
        lines = list(layout.lines[start:end])
        if start and lines and lines[0].row_headers:
            row_headers = []
            for place, row_header in enumerate(lines[0].row_headers):
                rest = next(
                    (n for n, line in enumerate(lines[1:], 1) if line.row_headers and line.row_headers[place].lines),
                    None,
                )
                row_headers.append(
                    replace(row_header, lines=rest or len(lines)) if row_header.lines == 0 else row_header
                )
            lines[0] = replace(lines[0], row_headers=tuple(row_headers))
        for place, line in enumerate(lines):
            left = len(lines) - place
            lines[place] = replace(
                line,
                row_headers=tuple(
                    replace(row_header, lines=min(row_header.lines, left)) for row_header in line.row_headers
                ),
            )
        parts.append(replace(layout, lines=tuple(lines)))
    return parts


def tabular(layout: TableLayout) -> list[str]:
    """The tabular, scaled down where it is wider than the text or taller than most of a page."""
    long = [
        max((len(line.row_headers[place].text) for line in layout.lines if line.row_headers), default=0) > LONG_LABEL
        for place in range(len(layout.row_header_names))
    ]
    wide = r">{\raggedright\arraybackslash}p{0.42\linewidth}"
    row_header_spec = "".join(
        "c" if layout.checks and place else wide if is_long else "l" for place, is_long in enumerate(long)
    )
    blocks = [header.span for header in layout.spanners] or [len(layout.headers)]
    widths = column_widths(layout)
    lines = [
        f"  \\sbox0{{\\begin{{tabular}}{{{row_header_spec}{''.join('r' * count for count in blocks)}}}",
        r"    \toprule",
    ]
    if layout.spanners:
        lines += spanner_lines(layout)
    lines += [
        tex_line([*map(escape, layout.row_header_names), *(header_text(header) for header in layout.headers)]),
        r"    \midrule",
    ]
    for place, line in enumerate(layout.lines):
        if line.ruled and place:
            lines.append(r"    \midrule")
        lines.append(tex_line(line_texts(line, widths, long, len(row_header_spec.replace(wide, "l")) + sum(blocks))))
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
    if not table.notes:
        return []
    texts = [
        f"{SYMBOLS[note.mark]}: {escape(note.text)}" if note.mark in SYMBOLS else escape(note.text)
        for note in table.notes
    ]
    body = [f"    {text} \\par" for text in texts]
    return [
        "",
        r"  \smallskip",
        r"  \parbox{\linewidth}{\footnotesize\raggedright\emergencystretch=3em",
        *body[:-1],
        f"    {texts[-1]}}}",
    ]


def column_widths(layout: TableLayout) -> list[tuple[str, str]]:
    """Per column of numbers its widest difference and its most marks: cells without them keep the place free."""
    count = len(layout.headers)
    widths = [("", "")] * count
    for line in layout.lines:
        place = 0
        for slot in line.slots:
            if slot.cell_text is not None and slot.span == 1:
                delta, marks = difference(slot.cell_text), marks_of(slot.cell_text)
                old = widths[place]
                widths[place] = (max(old[0], delta, key=len), max(old[1], marks, key=len))
            place += slot.span
    return widths


def line_texts(line: TableLine, widths: Sequence[tuple[str, str]], long: Sequence[bool], total: int) -> list[str]:
    """Leading texts and cell_texts of one line; a heading runs across all of them."""
    if line.heading:
        return [f"\\multicolumn{{{total}}}{{l}}{{\\emph{{{escape(line.heading)}}}}}"]
    texts = [row_header_text(row_header, is_long) for row_header, is_long in zip(line.row_headers, long, strict=True)]
    if line.shared:
        texts[0] += SYMBOLS[Mark.SHARED]
    place = 0
    for slot in line.slots:
        text = slot_text(slot, widths[place] if slot.span == 1 else ("", ""))
        texts.append(text if slot.span == 1 else f"\\multicolumn{{{slot.span}}}{{c}}{{{text}}}")
        place += slot.span
    return texts


def row_header_text(row_header: RowHeader, is_long: bool) -> str:
    """A leading cell; of several lines where equal neighbours are merged."""
    if row_header.lines == 0:
        return ""
    text = escape(row_header.text)
    return (
        f"\\multirow{{{row_header.lines}}}{{{'=' if is_long else '*'}}}{{{text}}}"
        if row_header.lines > 1 and text
        else text
    )


def slot_text(slot: Slot, width: tuple[str, str]) -> str:
    """An cell_text, or a plain text; its minus signs are typographic."""
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
