"""The table of the classes: which gain and which lose against the baseline, most gain first.

A line per class, a column for the baseline and one for each of the best rows. Differences are paired by seeds and their
p corrected over the classes of a column.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from orchestrator.store.records import AttemptRecord, State, SweepRecord
from reports.stats import compare_with, holm
from reports.tables.aggregate import Cell, aggregate
from reports.tables.cell_text import ALPHA, CellText, Mark, interval_text
from reports.tables.columns import IOU_PREFIX, Column, column_for
from reports.tables.layout import Header, RowHeader, Slot, TableLayout, TableLine, marks_in, p_text
from reports.tables.notes import Note
from reports.tables.table import Table, TableRow, sentence

__all__ = ["build_class_table"]

MOST_ROWS = 2
"""So many rows beside the baseline, the best ones by the sweep's metric."""


def build_class_table(sweep: SweepRecord, outcomes: Mapping[str, AttemptRecord]) -> Table | None:
    """The table, or None where no class was scored or there is nothing to compare with the baseline."""
    names = sorted(
        {
            key.removeprefix(IOU_PREFIX)
            for record in outcomes.values()
            if record.state is State.DONE
            for key in record.metrics
            if key.startswith(IOU_PREFIX)
        }
    )
    rivals = best_rows(sweep, outcomes)
    if not names or not rivals or sweep.baseline is None:
        return None
    column = replace(column_for(f"{IOU_PREFIX}any", metric=sweep.metric, goal=sweep.goal), name="IoU")
    columns = tuple(replace(column, key=label) for label in (sweep.baseline, *rivals))
    cells = {name: aggregate(sweep, outcomes, f"{IOU_PREFIX}{name}") for name in names}
    cell_texts = {
        label: cell_texts_of(column, {name: cells[name] for name in names}, sweep.baseline, label)
        for label in (sweep.baseline, *rivals)
    }
    gain = {name: cell_texts[rivals[0]][name].cell.delta for name in names}
    ordered = sorted(names, key=lambda name: (gain[name] is None, -(gain[name] or 0.0), name))
    rows = tuple(
        TableRow(
            label=name,
            factors={},
            row_header=(name,),
            cell_texts=tuple(cell_texts[label][name] for label in (sweep.baseline, *rivals)),
        )
        for name in ordered
    )
    layout = lay_out(rows, columns, sweep.baseline, rivals[0])
    return Table(
        name=f"{sweep.name}: classes",
        caption=" ".join(
            [
                f"IoU of the classes (%), most gain of “{rivals[0]}” first.",
                *([sentence(sweep.protocol)] if sweep.protocol else []),
            ]
        ),
        label=f"{sweep.table.label or f'tab:{sweep.name}'}-classes",
        question="Which classes gain and which lose?",
        recipe=sweep.recipe,
        protocol=sweep.protocol,
        spec="",
        seeds=sweep.seeds,
        baseline=None,
        columns=columns,
        rows=rows,
        cells={row.label: tuple(cell_text.cell for cell_text in row.cell_texts) for row in rows},
        factors={row.label: {} for row in rows},
        layout=layout,
        notes=notes_of(layout, sweep.baseline, rivals, cell_texts),
        missing_runs=(),
        runs_done=0,
        runs_planned=0,
    )


def best_rows(sweep: SweepRecord, outcomes: Mapping[str, AttemptRecord]) -> list[str]:
    """Labels of the best rows other than the baseline, best first."""
    cells = aggregate(sweep, outcomes, sweep.metric)
    sign = -1.0 if sweep.goal == "minimize" else 1.0
    means = {label: sign * cell.mean for label, cell in cells.items() if cell.mean is not None}
    others = sorted((label for label in means if label != sweep.baseline), key=lambda label: -means[label])
    return others[:MOST_ROWS] if sweep.baseline in means else []


def cell_texts_of(
    column: Column, cells: Mapping[str, Mapping[str, Cell]], baseline: str, label: str
) -> dict[str, CellText]:
    """The classes of one row, compared with the baseline's; p is corrected over the classes."""
    found = {}
    for name, by_row in cells.items():
        values = {row: by_row[row].values for row in (baseline, label)}
        compared = compare_with(baseline, values, np.random.default_rng(0), power=False) if label != baseline else {}
        found[name] = compared.get(label)
    tested = [name for name, item in found.items() if item is not None and item.p_t is not None]
    p_of = {name: item.p_t for name, item in found.items() if item is not None and item.p_t is not None}
    corrected = dict(zip(tested, map(float, holm(np.array([p_of[name] for name in tested]))), strict=True))
    cell_texts = {}
    for name, item in found.items():
        cell = cells[name][label]
        comparison = replace(item, p_holm=corrected.get(name)) if item is not None else None
        marks = [Mark.PROVISIONAL if cell.provisional else Mark.FEWER] if cell.n and not cell.complete else []
        cell_texts[name] = CellText(
            cell=cell,
            mean="" if cell.mean is None else column.text(cell.mean),
            std="" if cell.std is None else column.text(cell.std),
            delta="" if cell.delta is None else column.difference(cell.delta),
            interval=interval_text(column, comparison),
            marks=tuple(marks),
            comparison=comparison,
        )
    return cell_texts


def lay_out(rows: Sequence[TableRow], columns: Sequence[Column], baseline: str, best: str) -> TableLayout:
    """A line per class; beside the best row the interval of its gain and the corrected p."""
    headers = []
    for column in columns:
        headers.append(Header(text=column.key, arrow=column.arrow, key=column.key))
        if column.key == best:
            headers += [Header(text="95 % interval of Δ"), Header(text="p")]
    lines = []
    for row in rows:
        slots = []
        for column, cell_text in zip(columns, row.cell_texts, strict=True):
            slots.append(Slot(cell_text=cell_text, column=column, label=row.label))
            if column.key == best:
                slots += [Slot(text=cell_text.interval), Slot(text=p_text(cell_text.p))]
        lines.append(TableLine(row_headers=(RowHeader(text=row.label),), slots=tuple(slots), label=row.label))
    return TableLayout(row_header_names=(f"Class (baseline: {baseline})",), headers=tuple(headers), lines=tuple(lines))


def notes_of(
    layout: TableLayout, baseline: str, rivals: Sequence[str], cell_texts: Mapping[str, Mapping[str, CellText]]
) -> tuple[Note, ...]:
    """What the marks mean, and by name what gains and what loses."""
    used = marks_in(layout)
    texts = {
        Mark.DELTA: f"mean difference to “{baseline}” over the seeds that both have, in points.",
        Mark.SIGNIFICANT: "p ≤ 0.05 (paired t test, Holm over the classes of the column).",
        Mark.FEWER: "fewer seeds than planned: a run failed, or the class is not in its images.",
        Mark.PROVISIONAL: "provisional: planned runs are still to come.",
        Mark.MISSING: "no value: no run is done, or the class is not in its images.",
    }
    notes = [Note(mark=mark, text=text) for mark, text in texts.items() if mark in used]
    for label in rivals[:1]:
        surely = {name: cell_text for name, cell_text in cell_texts[label].items() if cell_text.significant}
        gains = [name for name, cell_text in surely.items() if (cell_text.cell.delta or 0) > 0]
        losses = [name for name, cell_text in surely.items() if (cell_text.cell.delta or 0) < 0]
        if any(cell_text.p is not None for cell_text in cell_texts[label].values()):
            text = f"“{label}” gains in: {', '.join(gains) or 'no class'}; loses in: {', '.join(losses) or 'no class'}"
            notes.append(Note(text=f"{text} (at {ALPHA:.0%}, corrected).".replace("%", " %")))
        else:
            notes.append(Note(text="Fewer than three seeds in common: no test."))
    return tuple(notes)
