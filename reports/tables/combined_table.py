"""Several sweeps in one table: a block per sweep, each compared with its own baseline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from reports.tables.columns import Column
from reports.tables.layout import Header, RowHeader, Slot, TableLayout, TableLine
from reports.tables.notes import Note
from reports.tables.table import Table

__all__ = ["combine_tables"]


def combine_tables(tables: Sequence[Table], name: str = "all") -> Table:
    """One table of all rows; columns are those of any sweep, in the order they come first.

    Ranks, differences and tests are those within each sweep. Raises ValueError for no table.
    """
    if not tables:
        raise ValueError("no table to join")
    columns: dict[str, Column] = {}
    for table in tables:
        for column in table.columns:
            columns.setdefault(column.key, column)
    lines = [line for table in tables for line in block(table, list(columns))]
    names = ", ".join(table.name for table in tables)
    return replace(
        tables[0],
        name=name,
        caption=f"Sweeps {names}. Differences and ranks are those within each sweep, against its own baseline. "
        "Mean ± sample standard deviation over seeds.",
        label=f"tab:{name}",
        question="All sweeps",
        recipe=", ".join(dict.fromkeys(table.recipe for table in tables)),
        protocol="",
        spec="",
        seeds=tuple(sorted({seed for table in tables for seed in table.seeds})),
        baseline=None,
        columns=tuple(columns.values()),
        rows=(),
        cells={},
        factors={},
        layout=TableLayout(
            row_header_names=("Variant",),
            headers=tuple(
                Header(text=column.header, arrow=column.arrow, key=column.key) for column in columns.values()
            ),
            lines=tuple(lines),
        ),
        notes=combined_notes(tables),
        missing_runs=tuple(missing_run for table in tables for missing_run in table.missing_runs),
        runs_done=sum(table.runs_done for table in tables),
        runs_planned=sum(table.runs_planned for table in tables),
        trials={},
        references=(),
        references_title="",
    )


def block(table: Table, keys: Sequence[str]) -> list[TableLine]:
    """The lines of one sweep below its name; a column that it does not have stays empty."""
    places = {column.key: place for place, column in enumerate(table.columns)}
    lines = [TableLine(heading=table.name, ruled=True)]
    for row in table.rows:
        slots = tuple(
            Slot(cell_text=row.cell_texts[places[key]], column=table.columns[places[key]], label=row.label)
            if key in places
            else Slot()
            for key in keys
        )
        lines.append(
            TableLine(
                row_headers=(RowHeader(text=row.label),),
                slots=slots,
                label=row.label,
                baseline=row.baseline,
                shared=row.shared,
            )
        )
    return lines


def combined_notes(tables: Sequence[Table]) -> tuple[Note, ...]:
    """Notes that all tables share once, the others behind the name of their sweep; then the protocols."""
    by_note: dict[Note, list[str]] = {}
    for table in tables:
        for note in table.notes:
            by_note.setdefault(note, []).append(table.name)
    notes = [
        note
        if len(names) == len(tables) or len(tables) == 1
        else replace(note, text=f"({', '.join(names)}) {note.text}")
        for note, names in by_note.items()
    ]
    notes.sort(key=lambda note: list(type(note.mark)).index(note.mark) or len(type(note.mark)))
    protocols: dict[str, list[str]] = {}
    for table in tables:
        if table.protocol:
            protocols.setdefault(table.protocol, []).append(table.name)
    different = len(protocols) > 1
    notes += [Note(text=protocol_text(protocol, names if different else ())) for protocol, names in protocols.items()]
    if different:
        notes.append(Note(text="The protocols differ: compare within a sweep only."))
    return tuple(notes)


def protocol_text(protocol: str, names: Sequence[str]) -> str:
    """One sentence; `names` says whose it is."""
    whose = f" of {', '.join(names)}" if names else ""
    return f"Protocol{whose}: {protocol.rstrip('.')}."
