"""The table itself: rows, columns, ranks and notes, still without a format.

    SweepRecord + outcomes --aggregate--> Cells --build_table--> Table --render--> text

Every text in a `Table` is plain: no markup, ASCII minus. Escaping is the renderers' business.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from orchestrator.errors import StoreError
from orchestrator.records import AttemptRecord, Row, State, SweepRecord
from reports.aggregate import Cell, aggregate
from reports.columns import Column, column_for
from reports.notes import Mark, Note, shared_rows, write_notes
from reports.problems import Problem, find_problems
from reports.published import Published

__all__ = ["Entry", "Table", "TableRow", "build_table"]

MIN_SEEDS_FOR_TEST = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """What one cell prints. `mean` is empty where there is no value, `std` below two seeds, `delta` without one."""

    cell: Cell
    mean: str = ""
    std: str = ""
    delta: str = ""
    rank: Mark = Mark.NONE
    """`BEST`, `SECOND` or `NONE`."""

    @property
    def partial(self) -> bool:
        """Printed with a †."""
        return 0 < self.cell.n < self.cell.expected


@dataclass(frozen=True, kw_only=True, slots=True)
class TableRow:
    """One row of ours."""

    label: str
    factors: Mapping[str, Any]
    """Dotted keys and values of the whole row, as planned."""
    stub: tuple[str, ...]
    """Texts of the leading columns, one per `Table.stub_names`."""
    entries: tuple[Entry, ...]
    baseline: bool = False
    shared: bool = False
    """Printed with a ‡: another row has the same runs."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Reference:
    """One published row. Never ranked."""

    label: str
    values: tuple[str, ...]
    """One per column; empty where the source has none."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """Everything a renderer needs."""

    name: str
    caption: str
    label: str
    """For `\\ref`; empty for one made from the name."""
    question: str
    recipe: str
    protocol: str
    spec: str
    seeds: tuple[int, ...]
    baseline: str | None
    stub_names: tuple[str, ...]
    """Headers of the leading columns: `Variant`, or one per factor."""
    columns: tuple[Column, ...]
    rows: tuple[TableRow, ...]
    notes: tuple[Note, ...]
    problems: tuple[Problem, ...]
    runs_done: int
    runs_planned: int
    """Distinct trials; rows that share a trial need it once."""
    references: tuple[Reference, ...] = field(default=())
    references_title: str = ""

    @property
    def complete(self) -> bool:
        """Every planned run is done and has a finite value of the sweep's metric."""
        return not self.problems


def build_table(sweep: SweepRecord, outcomes: Mapping[str, AttemptRecord], published: Published | None = None) -> Table:
    """The table of `sweep`, the baseline first, then the rows in the order of the specification.

    `outcomes` maps trial ids to the attempt that counts. `published` rows are shown below ours, in their own block.
    Raises StoreError when the baseline is not among the rows.
    """
    rows = ordered_rows(sweep)
    columns = tuple(column_for(key, metric=sweep.metric, goal=sweep.goal) for key in sweep.table.columns)
    cells_of = [aggregate(sweep, outcomes, column.key) for column in columns]
    entries = [
        rank_column(column, [cells[row.label] for row in rows]) for column, cells in zip(columns, cells_of, strict=True)
    ]
    stub_names, stubs = stub_columns(rows, sweep.baseline, by_factor=sweep.method != "ablation")
    sharing = {label for group in shared_rows(sweep) for label in group}
    table_rows = tuple(
        TableRow(
            label=row.label,
            factors=row.factors,
            stub=stubs[index],
            entries=tuple(column_entries[index] for column_entries in entries),
            baseline=row.label == sweep.baseline,
            shared=row.label in sharing,
        )
        for index, row in enumerate(rows)
    )
    problems = find_problems(sweep, outcomes)
    cells = {row.label: [entry.cell for entry in row.entries] for row in table_rows}
    planned = {cell.trial_id for cell in sweep.cells}
    return Table(
        name=sweep.name,
        caption=write_caption(sweep),
        label=sweep.table.label,
        question=sweep.question,
        recipe=sweep.recipe,
        protocol=sweep.protocol,
        spec=sweep.spec,
        seeds=sweep.seeds,
        baseline=sweep.baseline,
        stub_names=stub_names,
        columns=columns,
        rows=table_rows,
        notes=(
            *write_notes(sweep, outcomes, columns, cells, problems, used_marks(table_rows)),
            *([Note(text=f"Published rows: {published.source}; {published.setting}.")] if published else []),
        ),
        problems=problems,
        runs_done=sum(key in outcomes and outcomes[key].state is State.DONE for key in planned),
        runs_planned=len(planned),
        references=published_rows(published, columns) if published else (),
        references_title=f"Published, not ours: {published.title}" if published else "",
    )


def ordered_rows(sweep: SweepRecord) -> list[Row]:
    """The baseline, then the others as written."""
    labels = [row.label for row in sweep.rows]
    if sweep.baseline is not None and sweep.baseline not in labels:
        raise StoreError(f"sweep {sweep.name!r}: its baseline {sweep.baseline!r} is no row; there are: {labels}")
    return sorted(sweep.rows, key=lambda row: row.label != sweep.baseline)


def rank_column(column: Column, cells: Sequence[Cell]) -> list[Entry]:
    """The cells of one column as texts, best and second marked.

    Ranked are complete cells of at least two seeds, by the value as shown, so that equal digits get equal marks.
    Where all ranked cells show the same digits, or only one can be ranked, nothing is marked.
    """
    sign = -1.0 if column.direction == "down" else 1.0
    scores = {
        index: sign * column.shown(cell.mean)
        for index, cell in enumerate(cells)
        if column.ranked and column.direction is not None and cell.rankable and cell.mean is not None
    }
    places = sorted(set(scores.values()), reverse=True)
    marks = dict(zip(places, (Mark.BEST, Mark.SECOND), strict=False)) if len(places) > 1 else {}
    return [
        Entry(
            cell=cell,
            mean="" if cell.mean is None else column.text(cell.mean),
            std="" if cell.std is None else column.text(cell.std),
            delta="" if cell.delta is None or not column.ranked else column.difference(cell.delta),
            rank=marks.get(scores[index], Mark.NONE) if index in scores else Mark.NONE,
        )
        for index, cell in enumerate(cells)
    ]


def stub_columns(
    rows: Sequence[Row], baseline: str | None, *, by_factor: bool
) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Headers and texts of the leading columns: the label, or one column per factor.

    A baseline outside the grid shows its label instead of factors of its own. Labels stay beside the factors where
    these alone do not tell the rows apart.
    """
    varied = [row for row in rows if row.label != baseline] or rows
    keys = tuple(dict.fromkeys(key for row in varied for key in row.factors))
    if not by_factor or not keys:
        return ("Variant",), [(row.label,) for row in rows]
    texts = [tuple(factor_text(row.factors[key]) if key in row.factors else "" for key in keys) for row in rows]
    for index, row in enumerate(rows):
        if (row.label == baseline and not set(row.factors) <= set(keys)) or not any(texts[index]):
            texts[index] = (row.label, *[""] * (len(keys) - 1))
    names = short_names(keys)
    if len(set(texts)) == len(texts):
        return names, texts
    return ("Variant", *names), [(row.label, *text) for row, text in zip(rows, texts, strict=True)]


def short_names(keys: Sequence[str]) -> tuple[str, ...]:
    """The last part of each dotted key, with as many parts before it as tell it from the others.

    >>> short_names(["contrast.memory.kind", "contrast.mining.kind", "contrast.temperature"])
    ('memory.kind', 'mining.kind', 'temperature')
    """
    parts = [key.split(".") for key in keys]
    names = []
    for own in parts:
        length = next(
            (length for length in range(1, len(own)) if sum(other[-length:] == own[-length:] for other in parts) == 1),
            len(own),
        )
        names.append(".".join(own[-length:]))
    return tuple(names)


def factor_text(value: Any) -> str:
    """A factor's value as a reader would write it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        return value
    return "none" if value is None else json.dumps(value, default=str)


def used_marks(rows: Sequence[TableRow]) -> set[Mark]:
    """The marks that appear in the table, hence need a note."""
    entries = [entry for row in rows for entry in row.entries]
    used = {entry.rank for entry in entries} - {Mark.NONE}
    for mark, present in (
        (Mark.DELTA, any(entry.delta for entry in entries)),
        (Mark.FEWER, any(entry.partial for entry in entries)),
        (Mark.MISSING, any(not entry.mean for entry in entries)),
        (Mark.SHARED, any(row.shared for row in rows)),
    ):
        if present:
            used.add(mark)
    return used


def write_caption(sweep: SweepRecord) -> str:
    """Caption, protocol, and what stands behind the ±."""
    n = len(sweep.seeds)
    if n == 1:
        spread = "Single seed (n = 1): no spread, and no test is possible."
    elif n < MIN_SEEDS_FOR_TEST:
        spread = f"Mean ± sample standard deviation over {n} seeds; with n < {MIN_SEEDS_FOR_TEST} no test is possible."
    else:
        spread = f"Mean ± sample standard deviation over {n} seeds."
    return " ".join(sentence(text) for text in (sweep.table.caption or sweep.question, sweep.protocol, spread) if text)


def sentence(text: str) -> str:
    """`text` on one line, with a full stop."""
    text = " ".join(text.split())
    return text if text.endswith((".", "?", "!")) else f"{text}."


def published_rows(published: Published, columns: Sequence[Column]) -> tuple[Reference, ...]:
    """The published figures in the order and precision of our columns."""
    return tuple(
        Reference(
            label=row.label,
            values=tuple(
                f"{row.values[column.key]:.{column.decimals}f}" if column.key in row.values else ""
                for column in columns
            ),
        )
        for row in published.rows
    )
