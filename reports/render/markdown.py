"""A table in GitHub's Markdown."""

from __future__ import annotations

import re

from reports.tables.cell_text import CellText, Mark
from reports.tables.layout import TableLine
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
    Mark.CHOSEN: "‖",
    Mark.MISSING: "–",
    Mark.SHARED: "¶",
    Mark.PUBLISHED: "published",
}
SPECIAL = re.compile(r"[\\`*\[\]|~$#]|(?<![^\W_])_|_(?![^\W_])")
"""What GitHub could read as markup; an underscore between letters is not."""


def escape(text: str) -> str:
    """`text` on one line, escaped so that it is printed as it is."""
    text = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return SPECIAL.sub(lambda match: f"\\{match[0]}", text)


def render_markdown(table: Table) -> str:
    """Title, caption, table, one line with what its marks mean, the other notes and the runs without result."""
    layout = table.layout
    headers = [header.label for header in layout.headers]
    if layout.spanners:
        above = [spanner for spanner in layout.spanners for _ in range(spanner.span)]
        headers = [f"{spanner.label}: {header}" for spanner, header in zip(above, headers, strict=True)]
    rules = [":--"] * len(layout.row_header_names) + ["--:"] * len(headers)
    lines = [f"**{escape(table.name)}.** {escape(table.caption)}", ""]
    lines += [line([*map(escape, layout.row_header_names), *map(escape, headers)]), line(rules)]
    lines += [line(line_texts(item, len(rules))) for item in layout.lines]
    if table.notes:
        lines.append("")
        legend = [f"{SYMBOLS[note.mark]}: {escape(note.text)}" for note in table.notes if note.mark in SYMBOLS]
        lines += [f"- {' '.join(legend)}"] if legend else []
        lines += [f"- {escape(note.text)}" for note in table.notes if note.mark not in SYMBOLS]
    if table.missing_runs:
        lines += ["", f"Runs without result ({table.runs_done} of {table.runs_planned} are done):", ""]
        lines += [
            f"- {escape(' = '.join(run.rows))}, seed {run.seed}: {escape(run.reason)} (trial {escape(run.trial_id)})"
            for run in table.missing_runs
        ]
    return "\n".join(lines) + "\n"


def line_texts(item: TableLine, width: int) -> list[str]:
    """The cells of one line; Markdown cells cannot span, so the places that a cell spans stay empty."""
    if item.heading:
        return [f"*{escape(item.heading)}*", *[""] * (width - 1)]
    texts = [escape(header.text) if header.lines else "" for header in item.row_headers]
    if item.shared:
        texts[0] += SYMBOLS[Mark.SHARED]
    for slot in item.slots:
        text = escape(minus(slot.text)) if slot.cell_text is None else render_cell(slot.cell_text)
        texts += [text, *[""] * (slot.span - 1)]
    return texts


def render_cell(cell_text: CellText) -> str:
    """`**43.10** ± 0.52 <sub>+1.20*</sub>`."""
    if not cell_text.mean:
        return cell_text.missing or SYMBOLS[Mark.MISSING]
    text = minus(cell_text.mean)
    if cell_text.rank is Mark.BEST:
        text = f"**{text}**"
    elif cell_text.rank is Mark.SECOND:
        text = f"<u>{text}</u>"
    if cell_text.std:
        text += f" ± {cell_text.std}"
    text += "".join(SYMBOLS[mark] for mark in cell_text.marks)
    if cell_text.delta:
        text += f" <sub>{minus(cell_text.delta)}{ESCAPED_STAR if cell_text.significant else ''}</sub>"
    return text


def minus(number: str) -> str:
    """`number` with a typographic minus."""
    return number.replace("-", "−")


def line(cells: list[str]) -> str:
    """One line of the table."""
    return f"| {' | '.join(cells)} |"
