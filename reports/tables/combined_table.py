"""Several sweeps in one table: a block per sweep, each compared with its own baseline."""

from __future__ import annotations

from collections.abc import Sequence

from reports.tables.columns import Column
from reports.tables.layout import Header, Slot, TableLayout, TableLine, TableRow
from reports.tables.notes import Note, merge_notes
from reports.tables.table import Table

__all__ = ["combine_tables"]

NAME = "all"


def combine_tables(tables: Sequence[Table]) -> Table:
    """One table of all rows; its columns are those of any sweep, in the order of their first appearance.

    Ranks, differences and tests are those within each sweep. Raises ValueError for no table.
    """
    if not tables:
        raise ValueError("no table to combine")
    columns: dict[tuple[str, str], Column] = {}
    for table in tables:
        for column in table.columns:
            columns.setdefault(identity(column), column)
    names = ", ".join(table.name for table in tables)
    return Table(
        name=NAME,
        caption=f"Sweeps {names}. Differences and ranks are those within each sweep, against its own baseline. "
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
            lines=tuple(line for table in tables for line in block(table, list(columns))),
        ),
        notes=combined_notes(tables),
        missing_runs=tuple(missing for table in tables for missing in table.missing_runs),
        runs_done=sum(table.runs_done for table in tables),
        runs_planned=sum(table.runs_planned for table in tables),
    )


def identity(column: Column) -> tuple[str, str]:
    """Metric and unit: two sweeps may show times in different units."""
    return column.key, column.unit


def block(table: Table, keys: Sequence[tuple[str, str]]) -> list[TableLine]:
    """The lines of one sweep below its name; a column that it does not have is empty."""
    places = {identity(column): place for place, column in enumerate(table.columns)}

    def slot(row: TableRow, key: tuple[str, str]) -> Slot:
        if key not in places:
            return Slot()
        return Slot(cell_text=row.cell_texts[places[key]], column=table.columns[places[key]], label=row.label)

    heading = TableLine(heading=table.name, ruled=True)
    return [heading, *(TableLine.of(row, [slot(row, key) for key in keys]) for row in table.rows)]


def combined_notes(tables: Sequence[Table]) -> tuple[Note, ...]:
    """Notes common to all tables once, the others after the names of their sweeps; then the protocols."""
    notes = merge_notes({table.name: table.notes for table in tables})
    protocols: dict[str, list[str]] = {}
    for table in tables:
        if table.protocol:
            protocols.setdefault(table.protocol, []).append(table.name)
    means: dict[str, list[str]] = {}
    for table in tables:
        if table.averaged:
            means.setdefault(table.averaged, []).append(table.name)
    for text, names in means.items():
        notes.append(Note(text=text if len(names) == len(tables) else f"({', '.join(names)}) {text}"))
    different = len(protocols) > 1
    for protocol, names in protocols.items():
        whose = f" of {', '.join(names)}" if different else ""
        notes.append(Note(text=f"Protocol{whose}: {protocol.rstrip('.')}."))
    if different:
        notes.append(Note(text="The protocols differ: compare within a sweep only."))
    return tuple(notes)
