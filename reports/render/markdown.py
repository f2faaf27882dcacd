"""A table in GitHub's Markdown."""

from __future__ import annotations

import re

from reports.notes import Mark
from reports.tables import Entry, Table, TableRow

__all__ = ["escape", "render_markdown"]

SYMBOLS = {
    Mark.BEST: "**bold**",
    Mark.SECOND: "<u>underlined</u>",
    Mark.DELTA: "<sub>subscript</sub>",
    Mark.FEWER: "†",
    Mark.MISSING: "–",
    Mark.SHARED: "‡",
}
SPECIAL = re.compile(r"[\\`*\[\]|~$#]|(?<![^\W_])_|_(?![^\W_])")
"""What GitHub could read as markup; an underscore between letters is none."""


def escape(text: str) -> str:
    """`text` on one line, readable as itself."""
    text = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return SPECIAL.sub(lambda match: f"\\{match[0]}", text)


def render_markdown(table: Table) -> str:
    """Title, caption, table, notes and the runs without result."""
    headers = [escape(name) for name in table.stub_names]
    headers += [f"{escape(column.header)} {column.arrow}".strip() for column in table.columns]
    rules = [":--"] * len(table.stub_names) + ["--:"] * len(table.columns)
    lines = [f"**{escape(table.name)}.** {escape(table.caption)}", "", line(headers), line(rules)]
    lines += [line(row_texts(row)) for row in table.rows]
    if table.references:
        width = len(table.stub_names) - 1
        lines.append(line([f"*{escape(table.references_title)}*", *[""] * (width + len(table.columns))]))
        lines += [
            line([escape(reference.label), *[""] * width, *map(escape, reference.values)])
            for reference in table.references
        ]
    if table.notes:
        lines.append("")
        lines += [
            f"- {SYMBOLS[note.mark]}: {escape(note.text)}" if note.mark in SYMBOLS else f"- {escape(note.text)}"
            for note in table.notes
        ]
    if table.problems:
        lines += ["", f"Runs without result ({table.runs_done} of {table.runs_planned} are done):", ""]
        lines += [
            f"- {escape(' = '.join(problem.rows))}, seed {problem.seed}: {escape(problem.reason)} "
            f"(trial {escape(problem.trial_id)})"
            for problem in table.problems
        ]
    return "\n".join(lines) + "\n"


def row_texts(row: TableRow) -> list[str]:
    """Leading texts and entries of one row."""
    stub = [escape(text) for text in row.stub]
    if row.shared:
        stub[0] += "‡"
    return [*stub, *(entry_text(entry) for entry in row.entries)]


def entry_text(entry: Entry) -> str:
    """`**43.10** ± 0.52 <sub>+1.20</sub>`."""
    if not entry.mean:
        return SYMBOLS[Mark.MISSING]
    text = minus(entry.mean)
    if entry.rank is Mark.BEST:
        text = f"**{text}**"
    elif entry.rank is Mark.SECOND:
        text = f"<u>{text}</u>"
    if entry.std:
        text += f" ± {entry.std}"
    if entry.partial:
        text += "†"
    if entry.delta:
        text += f" <sub>{minus(entry.delta)}</sub>"
    return text


def minus(number: str) -> str:
    """`number` with a typographic minus."""
    return number.replace("-", "−")


def line(cells: list[str]) -> str:
    """One line of the table."""
    return f"| {' | '.join(cells)} |"
