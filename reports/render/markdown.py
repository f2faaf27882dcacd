"""A table in GitHub's Markdown."""

from __future__ import annotations

import re

from reports.tables.cell_text import Entry, Mark
from reports.tables.layout import Line, Slot
from reports.tables.table import Table

__all__ = ["escape", "render_markdown"]

ESCAPED_STAR = r"\*"
SYMBOLS = {
    Mark.BEST: "**bold**",
    Mark.SECOND: "<u>underlined</u>",
    Mark.ALIKE: "≈",
    Mark.DELTA: "<sub>subscript</sub>",
    Mark.SIGNIFICANT: ESCAPED_STAR,
    Mark.FEWER: "†",
    Mark.PROVISIONAL: "‡",
    Mark.MIXED: "§",
    Mark.MISSING: "–",
    Mark.SHARED: "¶",
    Mark.PUBLISHED: "published",
}
SPECIAL = re.compile(r"[\\`*\[\]|~$#]|(?<![^\W_])_|_(?![^\W_])")
"""What GitHub could read as markup; an underscore between letters is none."""


def escape(text: str) -> str:
    """`text` on one line, readable as itself."""
    text = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return SPECIAL.sub(lambda match: f"\\{match[0]}", text)


def render_markdown(table: Table) -> str:
    """Title, caption, table, notes and the runs without result."""
    layout = table.layout
    heads = [head.label for head in layout.heads]
    if layout.spanners:
        above = [spanner for spanner in layout.spanners for _ in range(spanner.span)]
        heads = [f"{spanner.label}: {head}" for spanner, head in zip(above, heads, strict=True)]
    rules = [":--"] * len(layout.stub_names) + ["--:"] * len(heads)
    lines = [f"**{escape(table.name)}.** {escape(table.caption)}", ""]
    lines += [line([*map(escape, layout.stub_names), *map(escape, heads)]), line(rules)]
    lines += [line(line_texts(item, len(rules))) for item in layout.lines]
    if table.notes:
        lines.append("")
        lines += [
            f"- {SYMBOLS[note.mark]}: {escape(note.text)}" if note.mark in SYMBOLS else f"- {escape(note.text)}"
            for note in table.notes
        ]
    if table.problems:
        lines += ["", f"Runs without result ({table.runs_done} of {table.runs_planned} are done):", ""]
        lines += [
            f"- {escape(' = '.join(problem.rows))}, seed {problem.seed}: {escape(problem.reason)}"
            f" (trial {escape(problem.trial_id)})"
            for problem in table.problems
        ]
    return "\n".join(lines) + "\n"


def line_texts(item: Line, width: int) -> list[str]:
    """The cells of one line; Markdown has none that span, so the others stay empty."""
    if item.heading:
        return [f"*{escape(item.heading)}*", *[""] * (width - 1)]
    texts = [escape(stub.text) if stub.lines else "" for stub in item.stubs]
    if item.shared:
        texts[0] += SYMBOLS[Mark.SHARED]
    for slot in item.slots:
        texts += [slot_text(slot), *[""] * (slot.span - 1)]
    return texts


def slot_text(slot: Slot) -> str:
    """An entry, or a plain text."""
    return escape(minus(slot.text)) if slot.entry is None else entry_text(slot.entry)


def entry_text(entry: Entry) -> str:
    """`**43.10** ± 0.52 <sub>+1.20*</sub>`."""
    if not entry.mean:
        return entry.missing or SYMBOLS[Mark.MISSING]
    text = minus(entry.mean)
    if entry.rank is Mark.BEST:
        text = f"**{text}**"
    elif entry.rank is Mark.SECOND:
        text = f"<u>{text}</u>"
    if entry.std:
        text += f" ± {entry.std}"
    text += "".join(SYMBOLS[mark] for mark in entry.marks)
    if entry.delta:
        text += f" <sub>{minus(entry.delta)}{ESCAPED_STAR if entry.significant else ''}</sub>"
    return text


def minus(number: str) -> str:
    """`number` with a typographic minus."""
    return number.replace("-", "−")


def line(cells: list[str]) -> str:
    """One line of the table."""
    return f"| {' | '.join(cells)} |"
