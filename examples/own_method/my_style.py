"""A table style of one's own: columns separated by tabs, to paste into a spreadsheet."""

from reports.render import TableStyle
from reports.tables.layout import Slot
from reports.tables.table import Table


def render_tabs(table: Table) -> str:
    """Caption, headers, a line per row, notes."""
    layout = table.layout
    headers = [*layout.row_header_names, *(header.label for header in layout.headers)]
    lines = [table.caption, "\t".join(headers)]
    for line in layout.lines:
        row_headers = [header.text if header.lines else "" for header in line.row_headers]
        texts = [text for slot in line.slots for text in slot_texts(slot)]
        lines.append(line.heading or "\t".join([*row_headers, *texts]))
    return "\n".join([*lines, *(note.text for note in table.notes)]) + "\n"


def slot_texts(slot: Slot) -> list[str]:
    """The text of a cell, and an empty one for each further column that it spans."""
    cell = slot.cell_text
    text = slot.text if cell is None else cell.mean or cell.missing or "-"
    return [text, *[""] * (slot.span - 1)]


TABLE_STYLES = {"tabs": TableStyle(code=render_tabs, file="table.txt")}
