"""The table itself: rows, columns, ranks and notes, still without a format.

    SweepRecord + outcomes --aggregate--> Cells --build_table--> Table --render--> text

Every text in a `Table` is plain: no markup, ASCII minus. Escaping is the renderers' business.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from orchestrator.errors import StoreError
from orchestrator.store.records import SEARCHES, AttemptRecord, Row, State, SweepRecord
from reports.sources.published import Published, published_note, stand_beside
from reports.stats import MIN_SEEDS
from reports.tables.aggregate import Cell, aggregate
from reports.tables.cell_text import CellText, Mark, make_cell_texts, origins_of
from reports.tables.columns import Column, column_for
from reports.tables.layout import (
    RowHeader,
    Slot,
    TableLayout,
    TableLine,
    list_layout,
    marks_in,
    matrix_keys,
    matrix_layout,
)
from reports.tables.missing_runs import MissingRun, find_missing_runs
from reports.tables.notes import Note, NoteContext, shared_rows, write_notes
from reports.tables.row_headers import make_row_headers, varied_keys
from reports.tables.sequential import looks_of

__all__ = ["MOST_ROWS", "CellText", "Reference", "Table", "TableRow", "build_table", "sentence"]

TOP_OF_A_SEARCH = 10
MOST_ROWS = 100
"""More rows than these are no table any more: the best are shown, all stand in the CSV and Parquet files."""
ARCHITECTURE = "model."
"""A grid over one of these keys is grouped by it: each architecture has costs of its own."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TableRow:
    """One row of ours."""

    label: str
    factors: Mapping[str, Any]
    """Dotted keys and values of the whole row, as planned."""
    row_header: tuple[str, ...]
    """Texts of the leading columns of a list."""
    cell_texts: tuple[CellText, ...]
    baseline: bool = False
    shared: bool = False
    """Printed with a ¶: another row has the same runs."""


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
    columns: tuple[Column, ...]
    rows: tuple[TableRow, ...]
    """Those that are printed."""
    cells: Mapping[str, tuple[Cell, ...]]
    """Of every row of the sweep, printed or not, one cell per column."""
    factors: Mapping[str, Mapping[str, Any]]
    """Of every row of the sweep, in its order."""
    layout: TableLayout
    notes: tuple[Note, ...]
    missing_runs: tuple[MissingRun, ...]
    runs_done: int
    runs_planned: int
    """Distinct trials; rows that share a trial need it once."""
    trials: Mapping[str, Mapping[int, str]] = field(default_factory=dict)
    """Row label -> seed -> trial id, of the printed rows."""
    importance: Mapping[str, float] = field(default_factory=dict)
    """Share of the variation that each parameter of a search explains."""
    references: tuple[Reference, ...] = field(default=())
    references_title: str = ""

    @property
    def complete(self) -> bool:
        """Every planned run is done and has a finite value of the sweep's metric."""
        return not self.missing_runs

    @property
    def row_header_names(self) -> tuple[str, ...]:
        """Headers of the leading columns: `Variant`, or one per factor."""
        return self.layout.row_header_names


def build_table(
    sweep: SweepRecord,
    outcomes: Mapping[str, AttemptRecord],
    published: Published | None = None,
    importance: Mapping[str, float] | None = None,
) -> Table:
    """The table of `sweep`, the baseline first, then the rows in the order of the specification.

    `outcomes` maps trial ids to the attempt that counts. `published` figures stand in a column of their own beside the
    rows that ask the same, and in a block below where there is none. `importance` holds shares by parameter of a
    search. Raises StoreError when the baseline is not among the rows.
    """
    columns = columns_of(sweep)
    cells_of = [aggregate(sweep, outcomes, column.key) for column in columns]
    rows = shown_rows(sweep, outcomes)
    labels = [row.label for row in rows]
    origins = origins_of(sweep, outcomes)
    looks = looks_of(*sweep.looks) if sweep.looks is not None else None
    cell_texts_of = [
        make_cell_texts(column, cells, origins, sweep.baseline, labels, looks)
        for column, cells in zip(columns, cells_of, strict=True)
    ]
    cell_texts = {label: tuple(of_column[label] for of_column in cell_texts_of) for label in labels}
    beside = stand_beside(published, rows) if published is not None else {}
    shared = frozenset(label for group in shared_rows(sweep) for label in group)
    layout, row_headers = lay_out(sweep, columns, [(row, cell_texts[row.label]) for row in rows], shared, beside)
    used = marks_in(layout)
    missing_runs = find_missing_runs(sweep, outcomes)
    seen = NoteContext(
        sweep=sweep,
        outcomes=outcomes,
        columns=columns,
        cell_texts=cell_texts,
        origins=origins,
        missing_runs=missing_runs,
        correction=looks.correction if looks is not None else "",
        published=published_note(published, sweep.protocol) if published is not None else "",
    )
    planned = {cell.trial_id for cell in sweep.cells}
    wanted = set(labels)
    trials: dict[str, dict[int, str]] = {label: {} for label in labels}
    for cell in sweep.cells:
        if cell.row in wanted:
            trials[cell.row][cell.seed] = cell.trial_id
    below = published_rows(published, columns, {row.label for row in beside.values()}) if published else ()
    title = f"Published, not ours: {published.title}" if published and below else ""
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
        columns=columns,
        rows=tuple(
            TableRow(
                label=row.label,
                factors=row.factors,
                row_header=row_headers[place],
                cell_texts=cell_texts[row.label],
                baseline=row.label == sweep.baseline,
                shared=row.label in shared,
            )
            for place, row in enumerate(rows)
        ),
        cells={row.label: tuple(cells[row.label] for cells in cells_of) for row in sweep.rows},
        factors={row.label: row.factors for row in sweep.rows},
        layout=with_references(layout, columns, title, below),
        notes=(
            *write_notes(seen, used),
            *extra_notes(sweep, layout, len(rows), importance or {}),
            *([Note(text=f"Published rows: {seen.published}")] if below and Mark.PUBLISHED not in used else []),
        ),
        missing_runs=missing_runs,
        runs_done=sum(key in outcomes and outcomes[key].state is State.DONE for key in planned),
        runs_planned=len(planned),
        trials=trials,
        importance=importance or {},
        references=below,
        references_title=title,
    )


def columns_of(sweep: SweepRecord) -> tuple[Column, ...]:
    """The columns that the table asks for, in its split, precision and direction."""
    table = sweep.table
    moved = {key: in_split(key, table.split) for key in table.columns}
    metric = sweep.metric
    return tuple(
        column_for(
            moved[key],
            metric=moved.get(metric, metric),
            goal=sweep.goal,
            decimals=table.precision.get(key),
            direction=table.direction.get(key),
        )
        for key in table.columns
    )


def in_split(key: str, split: str) -> str:
    """`val/miou` for `final/miou` in a table of the validation split."""
    return key.replace("final/", "val/", 1) if split == "val" and key.startswith("final/") else key


def shown_rows(sweep: SweepRecord, outcomes: Mapping[str, AttemptRecord]) -> list[Row]:
    """The baseline, then the rows asked for; of a search or of very many the best, best first.

    Raises StoreError when the baseline is no row.
    """
    rows = ordered_rows(sweep)
    if sweep.table.rows:
        by_label = {row.label: row for row in rows}
        return [by_label[label] for label in sweep.table.rows if label in by_label] or rows
    top = sweep.table.top or (TOP_OF_A_SEARCH if sweep.method in SEARCHES else None)
    if top is None and len(rows) <= MOST_ROWS:
        return rows
    cells = aggregate(sweep, outcomes, sweep.metric)
    sign = -1.0 if sweep.goal == "minimize" else 1.0
    means = {label: sign * cell.mean for label, cell in cells.items() if cell.mean is not None}
    others = sorted(
        (row for row in rows if row.label != sweep.baseline),
        key=lambda row: (row.label not in means, -means.get(row.label, 0.0)),
    )
    return [row for row in rows if row.label == sweep.baseline] + others[: top or MOST_ROWS]


def ordered_rows(sweep: SweepRecord) -> list[Row]:
    """The baseline, then the others as written."""
    labels = [row.label for row in sweep.rows]
    if sweep.baseline is not None and sweep.baseline not in labels:
        raise StoreError(f"sweep {sweep.name!r}: its baseline {sweep.baseline!r} is no row; there are: {labels}")
    return sorted(sweep.rows, key=lambda row: row.label != sweep.baseline)


def lay_out(
    sweep: SweepRecord,
    columns: Sequence[Column],
    rows: Sequence[tuple[Row, Sequence[CellText]]],
    shared: frozenset[str],
    beside: Mapping[str, Any],
) -> tuple[TableLayout, Sequence[tuple[str, ...]]]:
    """The layout that suits the method unless the table names one, and the leading texts of a list."""
    table, baseline = sweep.table, sweep.baseline
    listed = [row for row, _ in rows]
    row_headers = make_row_headers(
        listed, baseline, method=sweep.method, group=table.group, merge=table.layout != "list"
    )
    inner = [row for row in listed if row.label != baseline or set(row.factors) >= set(varied_keys(listed, baseline))]
    keys = varied_keys(inner, None) if inner else ()
    suits = table.layout == "auto" and not any(key.startswith(ARCHITECTURE) for key in keys) and not beside
    if sweep.method == "grid" and (table.layout == "matrix" or suits):
        down_across = matrix_keys(inner, keys, table.group)
        if down_across is not None:
            return matrix_layout(down_across, columns, rows, baseline=baseline), row_headers.texts
    layout = list_layout(
        row_headers,
        columns,
        rows,
        baseline=baseline,
        shared=shared,
        published={label: row.values for label, row in beside.items()},
        intervals=table.intervals,
    )
    return layout, row_headers.texts


def with_references(
    layout: TableLayout, columns: Sequence[Column], title: str, below: Sequence[Reference]
) -> TableLayout:
    """The layout with the published rows in a block below ours."""
    if not below:
        return layout
    width = len(layout.row_header_names)
    places = {column.key: place for place, column in enumerate(columns)}
    headers = layout.spanners or layout.headers
    lines = [
        TableLine(
            row_headers=(RowHeader(text=row.label), *[RowHeader(text="")] * (width - 1)),
            slots=tuple(
                Slot(text=row.values[places[header.key]] if header.key in places else "", span=header.span)
                for header in headers
            ),
            ours=False,
        )
        for row in below
    ]
    return replace(layout, lines=(*layout.lines, TableLine(heading=title, ruled=True, ours=False), *lines))


def extra_notes(sweep: SweepRecord, layout: TableLayout, shown: int, importance: Mapping[str, float]) -> list[Note]:
    """What the layout leaves out, which split is shown, and what mattered in a search."""
    notes = []
    if importance:
        shares = ", ".join(f"{key} {share:.0%}".replace("%", " %") for key, share in importance.items())
        notes.append(f"Share of the variation of {sweep.metric} that each parameter explains (fANOVA): {shares}.")
    if sweep.table.split == "val":
        notes.append("Figures of the validation split, at the last step of training; not those of the test split.")
    if layout.left_out:
        notes.append(f"Not shown in the matrix: {', '.join(layout.left_out)}; all stand in the CSV file.")
    if shown < len(sweep.rows):
        best = "" if sweep.table.rows else "the best "
        notes.append(f"Shown are {best}{shown} of {len(sweep.rows)} rows; all stand in the CSV file.")
    return [Note(text=text) for text in notes]


def write_caption(sweep: SweepRecord) -> str:
    """Caption, protocol, and what stands behind the ±."""
    n = len(sweep.seeds)
    if n == 1:
        spread = "Single seed (n = 1): no spread, and no test is possible."
    elif n < MIN_SEEDS:
        spread = f"Mean ± sample standard deviation over {n} seeds; with n < {MIN_SEEDS} no test is possible."
    else:
        spread = f"Mean ± sample standard deviation over {n} seeds."
    return " ".join(sentence(text) for text in (sweep.table.caption or sweep.question, sweep.protocol, spread) if text)


def sentence(text: str) -> str:
    """`text` on one line, with a full stop."""
    text = " ".join(text.split())
    return text if text.endswith((".", "?", "!")) else f"{text}."


def published_rows(published: Published, columns: Sequence[Column], beside: set[str]) -> tuple[Reference, ...]:
    """The published figures that stand beside no row of ours, in the order and precision of our columns."""
    return tuple(
        Reference(
            label=row.label,
            values=tuple(
                f"{row.values[column.key]:.{column.decimals}f}" if column.key in row.values else ""
                for column in columns
            ),
        )
        for row in published.rows
        if row.label not in beside
    )
