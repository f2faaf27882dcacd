"""The table itself: rows, columns, ranks and notes, in no format yet.

    SweepResults --aggregate--> Cells --build_table--> Table --render--> text

Every text in a `Table` is plain: no markup, ASCII minus. Renderers escape.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from orchestrator.errors import StoreError
from orchestrator.store.attempt_record import State
from orchestrator.store.run_directory import RunDirectory
from orchestrator.store.sweep_record import Row, SweepRecord
from orchestrator.store.sweep_results import SweepResults
from orchestrator.workload.data_record import DataRecord
from reports.sources.published import Published, PublishedRow, match_published
from reports.sources.published_note import published_note
from reports.stats.pairs import MIN_SEEDS
from reports.tables.aggregate import Cell, Gap, aggregate, rank_rows
from reports.tables.averaged_classes import find_averaged_classes
from reports.tables.cell_text import Mark, make_cell_texts
from reports.tables.columns import Column, column_for, in_readable_time
from reports.tables.image_limits import image_notes
from reports.tables.key_notes import key_notes
from reports.tables.layout import (
    RowHeader,
    Slot,
    TableLayout,
    TableLine,
    TableRow,
    list_layout,
    marks_in,
    matrix_keys,
    matrix_layout,
)
from reports.tables.missing_runs import MissingRun, find_missing_runs
from reports.tables.notes import Note, NoteContext, shared_rows, write_notes
from reports.tables.origin import origins_of, seeds_of_other_code
from reports.tables.row_headers import make_row_headers, row_titles, varied_keys
from reports.tables.selection import mark_chosen, prior_notes
from reports.tables.sequential import looks_of
from reports.tables.verification import verification_text

__all__ = ["MOST_ROWS", "Table", "build_table", "sentence", "table_columns", "write_caption"]

TOP_OF_A_SEARCH = 10
MOST_ROWS = 100
"""Of more rows than these the best are shown; the CSV and Parquet files have all."""
ARCHITECTURE = "model."
"""A grid over one of these keys is grouped by it: each architecture has costs of its own."""


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
    spec: str = ""
    seeds: tuple[int, ...]
    baseline: str | None = None
    columns: tuple[Column, ...]
    rows: tuple[TableRow, ...]
    """The rows that are printed."""
    cells: Mapping[str, tuple[Cell, ...]] = field(default_factory=dict)
    """By label of every row of the sweep, printed or not, one cell per column."""
    factors: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """By label of every row of the sweep, in its order."""
    layout: TableLayout
    notes: tuple[Note, ...]
    missing_runs: tuple[MissingRun, ...] = ()
    runs_done: int = 0
    runs_planned: int = 0
    """Distinct trials; rows that share a trial need it once."""
    trials: Mapping[str, Mapping[int, str]] = field(default_factory=dict)
    """Row (`title_of` where there are several data sets) -> seed -> trial id, of the printed rows."""
    other_code: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    """By row, as in `trials`, the seeds that code other than the plan's has computed."""
    importance: Mapping[str, float] = field(default_factory=dict)
    """Share of the variation that each parameter of a search explains."""
    averaged: str = ""
    """Which classes the means are over; part of the caption."""
    data: tuple[DataRecord, ...] = ()
    """The data sets with their census."""

    @property
    def complete(self) -> bool:
        """Every planned run has a finite value of the sweep's metric, or was stopped early by a scheduler."""
        return all(run.gap is Gap.STOPPED for run in self.missing_runs)


def build_table(
    results: SweepResults,
    published: Published | None = None,
    importance: Mapping[str, float] | None = None,
    directory: RunDirectory | None = None,
) -> Table:
    """The table of a sweep: the baseline first, then the rows in the order of the specification.

    `published` figures are shown in a column beside the rows of ours they match, else in a block below. `importance`
    maps the parameters of a search to shares. The run `directory` has what each test image adds to the figures. Raises
    StoreError when the baseline is not among the rows.
    """
    sweep = results.sweep
    cells = [aggregate(results, column.key) for column in table_columns(sweep)]
    columns = in_readable_times(sweep, cells)
    shown = shown_rows(results)
    rows = make_rows(results, columns, cells, shown)
    matched = match_published(published, shown) if published is not None else {}
    layout = lay_out(sweep, columns, shown, rows, matched)
    used = marks_in(layout)
    note = published_note(published, sweep) if published is not None else ""
    context = NoteContext(
        results=results,
        columns=columns,
        rows=rows,
        missing_runs=find_missing_runs(results),
        published=note,
    )
    beside = {row.label for row in matched.values()}
    below = [row for row in published.rows if row.label not in beside] if published is not None else []
    averaged = find_averaged_classes(results, columns, shown)
    notes = [*write_notes(context, used), *extra_notes(sweep, layout, len(rows), importance or {})]
    images = image_notes(results, directory, columns, rows) if directory is not None else []
    keys = key_notes(results, [row.label for row in shown])
    details = (*images, verification_text(results))
    plain = (*images, averaged.note, *keys, *data_notes(sweep), verification_text(results))
    notes += [Note(text=text, detail=text in details) for text in plain if text]
    if published is not None and below:
        layout = with_published(layout, columns, f"Published, not ours: {published.title}", below)
        notes += [Note(text=f"Published rows: {note}")] if Mark.PUBLISHED not in used else []
    trials: dict[str, dict[int, str]] = {row.label: {} for row in rows}
    for run in sweep.cells:
        if run.row in trials:
            trials[run.row][run.seed] = run.trial_id
    return Table(
        name=sweep.name,
        caption=f"{write_caption(sweep)} {averaged.sentence}".rstrip(),
        averaged=averaged.sentence,
        data=sweep.data,
        label=sweep.table.label,
        question=sweep.question,
        recipe=sweep.recipe,
        protocol=sweep.protocol,
        spec=sweep.spec,
        seeds=sweep.seeds,
        baseline=sweep.baseline,
        columns=columns,
        rows=rows,
        cells={row.label: tuple(by_row[row.label] for by_row in cells) for row in sweep.rows},
        factors={row.label: row.factors for row in sweep.rows},
        layout=layout,
        notes=tuple(notes),
        missing_runs=context.missing_runs,
        runs_done=sum(results.state_of(trial_id) is State.DONE for trial_id in sweep.trial_ids),
        runs_planned=len(sweep.trial_ids),
        trials=trials,
        other_code=seeds_of_other_code(results),
        importance=importance or {},
    )


def table_columns(sweep: SweepRecord) -> tuple[Column, ...]:
    """The columns that the table asks for, or else the sweep's metric, in its split, precision and direction."""
    table = sweep.table
    keys = table.columns or (sweep.metric,)
    moved = {key: in_split(key, table.split) for key in keys}
    return tuple(
        column_for(
            moved[key],
            metrics=sweep.declared_metrics,
            metric=moved.get(sweep.metric, sweep.metric),
            goal=sweep.goal,
            decimals=table.precision.get(key),
            direction=table.direction.get(key),
        )
        for key in keys
    )


def in_readable_times(sweep: SweepRecord, cells: Sequence[Mapping[str, Cell]]) -> tuple[Column, ...]:
    """`table_columns` with times in units that suit their `cells`, unless the table sets their precision."""
    fixed = {in_split(key, sweep.table.split) for key in sweep.table.precision}
    return tuple(
        column if column.key in fixed else in_readable_time(column, (cell.mean for cell in by_row.values()))
        for column, by_row in zip(table_columns(sweep), cells, strict=True)
    )


def in_split(key: str, split: str) -> str:
    """`val/miou` for `final/miou` in a table of the validation split."""
    return key.replace("final/", "val/", 1) if split == "val" and key.startswith("final/") else key


def shown_rows(results: SweepResults) -> list[Row]:
    """Baseline, then the rows asked for, or the best ones. Raises StoreError if the baseline is not among the rows."""
    sweep = results.sweep
    by_label = {row.label: row for row in sweep.rows}
    if sweep.baseline is not None and sweep.baseline not in by_label:
        raise StoreError(f"sweep {sweep.name!r}: baseline {sweep.baseline!r} is not one of its rows: {list(by_label)}")
    rows = sorted(sweep.rows, key=lambda row: row.label != sweep.baseline)
    if sweep.table.rows:
        return [by_label[label] for label in sweep.table.rows if label in by_label] or rows
    top = sweep.table.top or (TOP_OF_A_SEARCH if sweep.is_search else None)
    if top is None and len(rows) <= MOST_ROWS:
        return rows
    ranking = rank_rows(sweep, aggregate(results, sweep.metric))
    best_first = dict.fromkeys([*ranking, *by_label])
    others = [by_label[label] for label in best_first if label != sweep.baseline]
    return [row for row in rows if row.label == sweep.baseline] + others[: top or MOST_ROWS]


def make_rows(
    results: SweepResults, columns: Sequence[Column], cells: Sequence[Mapping[str, Cell]], shown: Sequence[Row]
) -> tuple[TableRow, ...]:
    """The rows `shown` with their cells, of which `cells` holds those of each column by label."""
    sweep = results.sweep
    origins, looks = origins_of(results), looks_of(sweep)
    labels = [row.label for row in shown]
    by_column = [
        mark_chosen(sweep, column.key, make_cell_texts(column, by_row, origins, sweep.baseline, labels, looks))
        for column, by_row in zip(columns, cells, strict=True)
    ]
    shared = {label for group in shared_rows(sweep) for label in group}
    titles = row_titles(sweep)
    return tuple(
        TableRow(
            label=row.label,
            title=titles[row.label],
            factors=row.factors,
            titles=row.titles,
            cell_texts=tuple(texts[row.label] for texts in by_column),
            baseline=row.label == sweep.baseline,
            shared=row.label in shared,
        )
        for row in shown
    )


def lay_out(
    sweep: SweepRecord,
    columns: Sequence[Column],
    shown: Sequence[Row],
    rows: Sequence[TableRow],
    published: Mapping[str, PublishedRow],
) -> TableLayout:
    """The layout that the table names, else the one that suits the method; `published` by label of the row beside."""
    table, baseline = sweep.table, sweep.baseline
    keys = set(varied_keys(shown, baseline))
    inside = [row for row in shown if row.label != baseline or set(row.factors) >= keys]
    factors = varied_keys(inside, None) if inside else ()
    suits = table.layout == "auto" and not any(key.startswith(ARCHITECTURE) for key in factors) and not published
    if sweep.method == "grid" and (table.layout == "matrix" or suits):
        down_across = matrix_keys([row.factors for row in inside], factors, table.group)
        if down_across is not None:
            return matrix_layout(down_across, columns, rows)
    return list_layout(
        make_row_headers(shown, baseline, method=sweep.method, group=table.group, merge=table.layout != "list"),
        columns,
        rows,
        published={label: row.values for label, row in published.items()},
        intervals={column.key for column in columns if column.ranked and table.intervals and baseline is not None},
    )


def with_published(
    layout: TableLayout, columns: Sequence[Column], title: str, rows: Sequence[PublishedRow]
) -> TableLayout:
    """The layout with the published rows in a block below ours, in the order and precision of our columns."""
    decimals = {column.key: column.decimals for column in columns}
    blanks = [RowHeader(text="")] * (len(layout.row_header_names) - 1)
    lines = [
        TableLine(
            row_headers=(RowHeader(text=row.label), *blanks),
            slots=tuple(
                Slot(
                    text=f"{row.values[key]:.{decimals[key]}f}" if key in decimals and key in row.values else "",
                    span=header.span,
                )
                for header in layout.spanners or layout.headers
                for key in (header.key,)
            ),
            ours=False,
        )
        for row in rows
    ]
    return replace(layout, lines=(*layout.lines, TableLine(heading=title, ruled=True, ours=False), *lines))


def extra_notes(sweep: SweepRecord, layout: TableLayout, shown: int, importance: Mapping[str, float]) -> list[Note]:
    """The importance of parameters, which split is shown, and what is left out."""
    notes, details = list[str](), list[str]()
    if importance:
        shares = ", ".join(f"{key} {share:.0%}" for key, share in importance.items())
        details.append(f"Share of the variation of {sweep.metric} that each parameter explains (fANOVA): {shares}.")
    notes += prior_notes(sweep)
    if sweep.table.split == "val":
        notes.append("Figures of the validation split, at the last step of training; not those of the test split.")
    if layout.left_out:
        details.append(f"Not shown in the matrix: {', '.join(layout.left_out)}; all stand in the CSV file.")
    if shown < len(sweep.rows):
        best = "" if sweep.table.rows else "the best "
        notes.append(f"Shown are {best}{shown} of {len(sweep.rows)} rows; all stand in the CSV file.")
    return [*(Note(text=text) for text in notes), *(Note(text=text, detail=True) for text in details)]


def data_notes(sweep: SweepRecord) -> list[str]:
    """What in the data bears on the figures, and rows that are scored on different splits."""
    several = len(sweep.data) > 1
    notes = [f"{data.title}: {text}" if several else text for data in sweep.data for text in data.notes]
    splits = {data.roles.get("test", "") for data in sweep.data}
    if len(splits) > 1:
        notes.append(f"The rows are scored on different splits ({', '.join(sorted(splits))}), so do not compare them.")
    return list(dict.fromkeys(notes))


def write_caption(sweep: SweepRecord) -> str:
    """Caption, protocol, and what the ± is."""
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
