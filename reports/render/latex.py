"""A table in LaTeX with booktabs; compiles with pdflatex, nothing else loaded."""

from __future__ import annotations

import re
import unicodedata

from reports.notes import Mark
from reports.tables import Entry, Table, TableRow

__all__ = ["escape", "render_latex"]

SYMBOLS = {
    Mark.BEST: r"\textbf{Bold}",
    Mark.SECOND: r"\underline{Underlined}",
    Mark.DELTA: r"$_\mathrm{subscript}$",
    Mark.FEWER: r"$^\dagger$",
    Mark.MISSING: "--",
    Mark.SHARED: r"$^\ddagger$",
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
    """`text` on one line, printed as itself.

    What pdflatex cannot print without further packages loses its accents or becomes its code point (`U+4E2D`).
    """
    return re.sub(r"-{2,}|.", lambda match: escape_part(match[0]), " ".join(text.split()))


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
    """A `table` environment with caption, label, tabular and notes. Shows at most what the Markdown shows."""
    headers = [escape(name) for name in table.stub_names]
    headers += [f"{escape(column.header)} {escape(column.arrow)}".strip() for column in table.columns]
    label = re.sub(r"[^\w:.+@/-]", "-", table.label or f"tab:{table.name}", flags=re.ASCII)
    name = " ".join(table.name.split())
    spec = "l" * len(table.stub_names) + "r" * len(table.columns)
    phantoms = [longest_delta(table, index) for index in range(len(table.columns))]
    lines = [
        f"% Made by `python -m reports` from the records of the sweep {name}; needs \\usepackage{{booktabs}}.",
        r"\begin{table}[t]",
        r"  \centering",
        f"  \\caption{{{escape(table.caption)}}}",
        f"  \\label{{{label}}}",
        r"  \smallskip",
        r"  \small\setlength{\tabcolsep}{4pt}",
        f"  \\begin{{tabular}}{{{spec}}}",
        r"    \toprule",
        line(headers),
        r"    \midrule",
    ]
    for row in table.rows:
        lines.append(line(row_texts(row, phantoms)))
        if row.baseline and len(table.rows) > 1:
            lines.append(r"    \midrule")
    if table.references:
        title = f"\\multicolumn{{{len(spec)}}}{{l}}{{\\emph{{{escape(table.references_title)}}}}}"
        lines += [r"    \midrule", line([title])]
        gap = [""] * (len(table.stub_names) - 1)
        lines += [line([escape(row.label), *gap, *map(escape, row.values)]) for row in table.references]
    lines += [r"    \bottomrule", r"  \end{tabular}"]
    if table.notes:
        lines += ["", r"  \smallskip", r"  \parbox{\linewidth}{\footnotesize\raggedright"]
        notes = [
            f"{SYMBOLS[note.mark]}: {escape(note.text)}" if note.mark in SYMBOLS else escape(note.text)
            for note in table.notes
        ]
        lines += [f"    {text} \\\\" for text in notes[:-1]] + [f"    {notes[-1]}}}"]
    return "\n".join([*lines, r"\end{table}"]) + "\n"


def longest_delta(table: Table, index: int) -> str:
    """The widest difference of a column; cells without one keep its place free, so that the numbers stay aligned."""
    return max((row.entries[index].delta for row in table.rows), key=len, default="")


def row_texts(row: TableRow, phantoms: list[str]) -> list[str]:
    """Leading texts and entries of one row."""
    stub = [escape(text) for text in row.stub]
    if row.shared:
        stub[0] += SYMBOLS[Mark.SHARED]
    return [*stub, *(entry_text(entry, phantom) for entry, phantom in zip(row.entries, phantoms, strict=True))]


def entry_text(entry: Entry, phantom: str) -> str:
    r"""`\textbf{43.10}\,{\scriptsize $\pm$\,0.52}\,$_{+1.20}$`; the dagger takes no room."""
    if not entry.mean:
        return SYMBOLS[Mark.MISSING]
    text = entry.mean.replace("-", "$-$")
    if entry.rank is Mark.BEST:
        text = f"\\textbf{{{text}}}"
    elif entry.rank is Mark.SECOND:
        text = f"\\underline{{{text}}}"
    if entry.std:
        text += f"\\,{{\\scriptsize $\\pm$\\,{entry.std}}}"
    if entry.delta:
        sign = "" if entry.delta[0] in "+-" else r"\phantom{+}"
        text += f"\\,$_{{{sign}{entry.delta}}}$"
    elif phantom:
        text += f"\\,\\phantom{{$_{{{phantom}}}$}}"
    if entry.partial:
        text += f"\\rlap{{{SYMBOLS[Mark.FEWER]}}}"
    return text


def line(cells: list[str]) -> str:
    """One line of the tabular."""
    return f"    {' & '.join(cells)} \\\\"
