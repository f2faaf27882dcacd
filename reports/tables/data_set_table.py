"""The table of a sweep over several data sets: rows as rows, a group of columns for each data set.

Each group is the table that the data set would have alone: ranks, differences, tests and their correction are those
within it. Nothing is compared across data sets unless `table.across_data` asks for it (`reports.tables.across_data`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from math import inf

from orchestrator.store.attempt_record import State
from orchestrator.store.run_directory import RunDirectory
from orchestrator.store.sweep_record import Layout, SweepRecord, title_of
from orchestrator.store.sweep_results import SweepResults
from reports.sources.published import Published
from reports.tables.across_data import across_text, mark_texts, mean_cells, texts_across
from reports.tables.aggregate import aggregate, rank_rows
from reports.tables.cell_text import Mark
from reports.tables.columns import Column
from reports.tables.layout import Header, Slot, TableLayout, list_layout, marks_in
from reports.tables.missing_runs import find_missing_runs
from reports.tables.notes import Note, NoteContext, explain_marks, in_order, merge_notes, of_some
from reports.tables.row_headers import RowHeaders
from reports.tables.table import MOST_ROWS, Table, build_table, table_columns, write_caption
from reports.tables.verification import verification_text

__all__ = ["build_data_set_table"]

WITHIN = (
    "Each data set is compared by itself: ranks, differences, tests and Holm's correction are those within its columns."
)


def build_data_set_table(
    results: SweepResults, published: Published | None = None, directory: RunDirectory | None = None
) -> Table:
    """The table of a sweep over at least two data sets; arguments and errors as of `build_table`.

    Published figures stand in the group of the data set that they are of.
    """
    sweep = results.sweep
    parts = {name: on_one(part, results) for name, part in results.by_data_set.items()}
    tables = {
        name: build_table(part, published_on(part.sweep, published), directory=directory)
        for name, part in parts.items()
    }
    groups = [group_of(name, table) for name, table in tables.items()]
    notes = [*merge_notes({name: table.notes for name, table in tables.items()}), Note(text=WITHIN)]
    if sweep.table.across_data != "none":
        name = f"Mean of {len(parts)} data sets"
        across = across_table(results, list(parts.values()), next(iter(tables.values())))
        notes = [*in_order([*notes, *notes_across(notes, results, across, name)]), Note(text=across_text(sweep))]
        groups.append(group_of(name, across))
    notes += [Note(text=text) for text in selection_notes(sweep, published)]
    notes.append(Note(text=verification_text(results), detail=True))
    first = groups[0]
    return replace(
        first,
        name=sweep.name,
        caption=f"{write_caption(sweep)} {averaged_sentences(tables)}".rstrip(),
        averaged=averaged_sentences(tables),
        data=sweep.data,
        recipe=sweep.recipe,
        protocol=sweep.protocol,
        columns=tuple(column for group in groups for column in group.columns),
        rows=tuple(
            replace(row, cell_texts=tuple(text for group in groups for text in group.rows[place].cell_texts))
            for place, row in enumerate(first.rows)
        ),
        cells={label: tuple(cell for group in groups for cell in group.cells[label]) for label in first.cells},
        layout=join_layouts(groups),
        notes=tuple(note for note in notes if note.text),
        missing_runs=find_missing_runs(results),
        runs_done=sum(results.state_of(trial_id) is State.DONE for trial_id in sweep.trial_ids),
        runs_planned=len(sweep.trial_ids),
        trials={title: seeds for group in groups for title, seeds in group.trials.items()},
        other_code={title: seeds for group in groups for title, seeds in group.other_code.items()},
    )


def on_one(part: SweepResults, results: SweepResults) -> SweepResults:
    """The results on one data set, asked for the rows that are shown of all, in the order of a list."""
    table = replace(part.sweep.table, rows=shown_labels(results), top=None, layout=list_kind(part.sweep))
    return replace(part, sweep=replace(part.sweep, table=table), verification=None)


def list_kind(sweep: SweepRecord) -> Layout:
    """The layout within a group: a matrix would need headers above those of the data sets."""
    return "groups" if sweep.table.layout == "auto" else sweep.table.layout


def shown_labels(results: SweepResults) -> tuple[str, ...]:
    """Labels of the rows that the table shows, if not all: those asked for, or those of the best mean rank."""
    sweep = results.sweep
    top = sweep.table.top or (MOST_ROWS if len(sweep.rows) > MOST_ROWS else None)
    if sweep.table.rows or top is None:
        return sweep.table.rows
    places: dict[str, float] = {row.label: 0.0 for row in sweep.rows if row.label != sweep.baseline}
    for part in results.by_data_set.values():
        order = {label: place for place, label in enumerate(rank_rows(part.sweep, aggregate(part, sweep.metric)))}
        for label in places:
            places[label] += order.get(label, inf)
    best = sorted(places, key=lambda label: places[label])[:top]
    return (*(() if sweep.baseline is None else (sweep.baseline,)), *best)


def published_on(sweep: SweepRecord, published: Published | None) -> Published | None:
    """The published figures of the data of one data set; None without any."""
    names = {data.name for data in sweep.data}
    rows = () if published is None else tuple(row for row in published.rows if published.protocol_of(row).data in names)
    return replace(published, rows=rows) if published is not None and rows else None


def group_of(name: str, table: Table) -> Table:
    """The table of one data set with the names that its columns and runs have in the table of all."""
    columns = tuple(column.on(name) for column in table.columns)
    by_key = dict(zip((column.key for column in table.columns), columns, strict=True))
    layout = replace(
        table.layout,
        headers=tuple(
            replace(header, key=by_key[header.key].key) if header.key else header for header in table.layout.headers
        ),
        lines=tuple(
            replace(line, slots=tuple(renamed(slot, by_key) for slot in line.slots)) for line in table.layout.lines
        ),
        spanners=(Header(text=name, span=len(table.layout.headers)),),
    )
    return replace(
        table,
        columns=columns,
        layout=layout,
        trials={title_of(label, name): seeds for label, seeds in table.trials.items()},
        other_code={title_of(label, name): seeds for label, seeds in table.other_code.items()},
    )


def renamed(slot: Slot, columns: Mapping[str, Column]) -> Slot:
    """A slot whose column is the one of the group."""
    return slot if slot.column is None else replace(slot, column=columns[slot.column.key])


def across_table(results: SweepResults, parts: Sequence[SweepResults], like: Table) -> Table:
    """The ranked columns across the data sets `parts`, with the rows of the table `like` of one of them."""
    sweep = results.sweep
    columns = tuple(column for column in table_columns(sweep) if column.ranked)
    shown = [row.label for row in like.rows]
    cells = [[aggregate(part, column.key) for part in parts] for column in columns]
    texts = [texts_across(sweep, column, own, shown) for column, own in zip(columns, cells, strict=True)]
    means = [mean_cells(own, sweep) for own in cells]
    rows = tuple(replace(row, cell_texts=tuple(by_row[row.label] for by_row in texts)) for row in like.rows)
    has_intervals = sweep.table.intervals and sweep.table.across_data != "mean" and sweep.baseline is not None
    return replace(
        like,
        columns=columns,
        rows=rows,
        cells={label: tuple(by_row[label] for by_row in means) for label in like.cells},
        layout=list_layout(
            RowHeaders(names=(), texts=tuple(() for _ in rows)),
            columns,
            rows,
            published={},
            intervals={column.key for column in columns if has_intervals},
        ),
        trials={},
        other_code={},
    )


def notes_across(notes: Sequence[Note], results: SweepResults, across: Table, name: str) -> Iterator[Note]:
    """Notes for the marks in the group across data sets that `notes` do not explain; it is called `name`."""
    used = marks_in(across.layout) - {Mark.SHARED}
    explained = {note.mark for note in notes}
    context = NoteContext(results=results, columns=across.columns, rows=across.rows, missing_runs=())
    own = mark_texts(results.sweep)
    for note in explain_marks(context, used):
        if (text := own.get(note.mark)) is not None:
            note = replace(note, text=text, short="")
        if note.mark not in explained:
            yield note
        elif note.text not in {other.text for other in notes} and note.mark not in (Mark.DELTA, Mark.BEST):
            yield of_some(note, (name,))


def join_layouts(groups: Sequence[Table]) -> TableLayout:
    """The groups side by side; lines that only some of them have, such as published rows, below the rows."""
    first, count = groups[0].layout, len(groups[0].rows)
    widths = [len(group.layout.headers) for group in groups]
    lines = [
        replace(line, slots=tuple(slot for group in groups for slot in group.layout.lines[place].slots))
        for place, line in enumerate(first.lines[:count])
    ]
    for number, group in enumerate(groups):
        before, after = (Slot(),) * sum(widths[:number]), (Slot(),) * sum(widths[number + 1 :])
        for line in group.layout.lines[count:]:
            slots = (*before, *line.slots, *after) if line.slots else ()
            lines.append(replace(line, slots=slots))
    return replace(
        first,
        headers=tuple(header for group in groups for header in group.layout.headers),
        spanners=tuple(header for group in groups for header in group.layout.spanners),
        lines=tuple(lines),
    )


def averaged_sentences(tables: Mapping[str, Table]) -> str:
    """Which classes the means are over, once where that is the same on all data sets."""
    texts = {name: table.averaged for name, table in tables.items() if table.averaged}
    if len(set(texts.values())) == 1 and len(texts) == len(tables):
        return next(iter(texts.values()))
    return " ".join(f"{name}: {text}" for name, text in texts.items())


def selection_notes(sweep: SweepRecord, published: Published | None) -> Iterator[str]:
    """How the best rows were chosen, and which published figures have no place."""
    if not sweep.table.rows and (sweep.table.top or len(sweep.rows) > MOST_ROWS):
        yield "The rows shown are those with the best mean rank over the data sets."
    if published is not None:
        names = {data.name for data in sweep.data}
        others = {published.protocol_of(row).data for row in published.rows} - names
        if others:
            yield f"Published figures of other data are not shown: {', '.join(sorted(others))}."
