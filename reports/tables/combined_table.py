"""Several sweeps in one table: a block per sweep, each compared with its own baseline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from reports.tables.cell_text import Mark
from reports.tables.columns import Column
from reports.tables.layout import Header, Slot, TableLayout, TableLine, TableRow
from reports.tables.notes import Note, merge_notes
from reports.tables.table import Table

__all__ = ["combine_tables"]

NAME = "all"

SHORT = {
    Mark.DELTA: "difference to the baseline of the sweep, paired by seed",
    Mark.SIGNIFICANT: "p ≤ 0.05 (paired t test, Holm within the sweep)",
    Mark.ALIKE: "not significant (paired t test, Holm within the sweep), without a baseline against the best row",
}
"""What the marks mean in all sweeps."""


def combine_tables(tables: Sequence[Table], titles: Sequence[str] = ()) -> Table:
    """One table of all rows; its columns are those of any sweep, in the order of their first appearance.

    `titles` are the headings of the sweeps, by default their names. Ranks, differences and tests are those within each
    sweep. Raises ValueError for no table.
    """
    if not tables:
        raise ValueError("no table to combine")
    columns: dict[tuple[str, str], Column] = {}
    for table in tables:
        for column in table.columns:
            columns.setdefault(identity(column), column)
    headings = titles or [table.name for table in tables]
    return Table(
        name=NAME,
        caption="All sweeps. Differences and ranks are those within each sweep, against its own baseline. "
        "Mean ± sample standard deviation over seeds.",
        label=f"tab:{NAME}",
        question="All sweeps",
        recipe=", ".join(dict.fromkeys(table.recipe for table in tables)),
        protocol="",
        seeds=tuple(sorted({seed for table in tables for seed in table.seeds})),
        columns=tuple(columns.values()),
        rows=(),
        layout=TableLayout(
            row_header_names=("Variant",),
            headers=tuple(Header.of(column) for column in columns.values()),
            lines=tuple(
                line
                for table, heading in zip(tables, headings, strict=True)
                for line in block(table, heading, list(columns))
            ),
        ),
        notes=combined_notes(dict(zip(headings, tables, strict=True))),
        missing_runs=tuple(missing for table in tables for missing in table.missing_runs),
        runs_done=sum(table.runs_done for table in tables),
        runs_planned=sum(table.runs_planned for table in tables),
    )


def identity(column: Column) -> tuple[str, str]:
    """Metric and unit: two sweeps may show times in different units."""
    return column.key, column.unit


def block(table: Table, heading: str, keys: Sequence[tuple[str, str]]) -> list[TableLine]:
    """The lines of one sweep below its heading; a column that it does not have is empty."""
    places = {identity(column): place for place, column in enumerate(table.columns)}

    def slot(row: TableRow, key: tuple[str, str]) -> Slot:
        if key not in places:
            return Slot()
        return Slot(cell_text=row.cell_texts[places[key]], column=table.columns[places[key]], label=row.label)

    first = TableLine(heading=heading, ruled=True)
    return [
        first,
        *(TableLine.of(row, [slot(row, key) for key in keys], (row.title or row.label,)) for row in table.rows),
    ]


def combined_notes(tables: Mapping[str, Table]) -> tuple[Note, ...]:
    """Notes common to all tables once, the others after the headings of their sweeps; then the protocols."""
    merged = merge_notes({name: table.notes for name, table in tables.items()})
    notes = [replace(note, short=SHORT[note.mark]) if note.short and note.mark in SHORT else note for note in merged]
    protocols: dict[str, list[str]] = {}
    for name, table in tables.items():
        if table.protocol:
            protocols.setdefault(table.protocol, []).append(name)
    means: dict[str, list[str]] = {}
    for name, table in tables.items():
        if table.averaged:
            means.setdefault(table.averaged, []).append(name)
    for text, names in means.items():
        notes.append(Note(text=text if len(names) == len(tables) else f"({', '.join(names)}) {text}"))
    different = len(protocols) > 1
    for protocol, names in protocols.items():
        whose = f" of {', '.join(names)}" if different else ""
        notes.append(Note(text=f"Protocol{whose}: {protocol.rstrip('.')}.", detail=different))
    if different:
        notes.append(Note(text="The protocols differ: compare within a sweep only."))
    return tuple(notes)
