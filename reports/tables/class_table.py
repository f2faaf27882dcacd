"""The table of classes: which gain and which lose against the baseline, largest gain first.

One line per class, one column for the baseline and one for each of the best rows. Differences are paired by seeds. All
tests of the table are one family, of every row of the sweep with every class: the rows shown were selected among them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from orchestrator.store.records import State
from orchestrator.store.sweep_results import SweepResults
from reports.stats.comparisons import Comparison, compare, corrected
from reports.stats.looks import Looks
from reports.stats.p_values import ALPHA
from reports.stats.pairs import paired
from reports.tables.aggregate import Cell, aggregate, rank_rows
from reports.tables.cell_text import CellText, Mark
from reports.tables.columns import IOU_PREFIX, Column, column_for
from reports.tables.detectable import POWER_TEXT, detectable
from reports.tables.layout import TableLayout, TableRow, list_layout, marks_in
from reports.tables.notes import Note, explain_other_code
from reports.tables.origin import seeds_of_other_code
from reports.tables.row_headers import RowHeaders
from reports.tables.selection import explain_chosen, mark_row
from reports.tables.sequential import looks_of
from reports.tables.table import Table, sentence

__all__ = ["build_class_table", "build_class_tables"]

ByClass = Mapping[str, Mapping[str, Cell]]
"""Class -> row label -> cell."""

TEST = "paired t test, Holm over rows x classes"
MOST_ROWS = 2
"""The best rows by the sweep's metric that are shown beside the baseline."""


def build_class_tables(results: SweepResults) -> dict[str, Table]:
    """The table by its file name `classes`; in a sweep over several data sets one for each, as `classes-camvid`."""
    if len(results.sweep.data_sets) < 2:
        tables = {"classes": build_class_table(results)}
    else:
        tables = {f"classes-{part.sweep.data_sets[0].stem}": build_class_table(part) for part in results.parts}
    return {stem: table for stem, table in tables.items() if table is not None}


def build_class_table(results: SweepResults) -> Table | None:
    """The table; None without scored classes, without a baseline, or without a row to compare with it.

    `results` are those on one data set; if the sweep has named it, so does the table.
    """
    sweep, baseline = results.sweep, results.sweep.baseline
    data = sweep.data_sets[0] if sweep.data_sets else None
    names = sorted(
        {
            key.removeprefix(IOU_PREFIX)
            for record in results.outcomes.values()
            if record.state is State.DONE
            for key in record.metrics
            if key.startswith(IOU_PREFIX)
        }
    )
    ranking = rank_rows(sweep, aggregate(results, sweep.metric))
    best = [label for label in ranking if label != baseline][:MOST_ROWS]
    if not names or not best or baseline is None or baseline not in ranking:
        return None
    column = column_for(f"{IOU_PREFIX}any", metric=sweep.metric, goal=sweep.goal)
    columns = tuple(replace(column, key=label, name=label, unit="") for label in (baseline, *best))
    cells = {name: aggregate(results, f"{IOU_PREFIX}{name}") for name in names}
    compared = compare_classes(cells, baseline, best, looks_of(sweep))
    other = seeds_of_other_code(results)
    texts = {
        label: {
            name: CellText.of(column, by_row[label], compared.get(label, {}).get(name), mixed=label in other)
            for name, by_row in cells.items()
        }
        for label in (baseline, *best)
    }
    texts = {label: mark_row(sweep, column.key, label, by_class) for label, by_class in texts.items()}
    gain = {name: texts[best[0]][name].cell.delta for name in names}
    names.sort(key=lambda name: (gain[name] is None, -(gain[name] or 0.0), name))
    rows = tuple(
        TableRow(label=name, factors={}, cell_texts=tuple(texts[label][name] for label in (baseline, *best)))
        for name in names
    )
    headers = RowHeaders(names=(f"Class (baseline: {baseline})",), texts=tuple((name,) for name in names))
    layout = list_layout(headers, columns, rows, published={}, intervals={best[0]})
    caption = f"IoU of the classes (%), most gain of “{best[0]}” first."
    return Table(
        name=f"{sweep.name}: classes{f' of {data.name}' if data else ''}",
        caption=f"{caption} {sentence(sweep.protocol)}" if sweep.protocol else caption,
        label=f"{sweep.table.label or f'tab:{sweep.name}'}-classes{f'-{data.stem}' if data else ''}",
        question=f"Which classes{f' of {data.name}' if data else ''} gain and which lose?",
        recipe=sweep.recipe,
        protocol=sweep.protocol,
        seeds=sweep.seeds,
        columns=columns,
        rows=rows,
        cells={row.label: tuple(text.cell for text in row.cell_texts) for row in rows},
        factors={row.label: {} for row in rows},
        layout=layout,
        notes=notes_of(results, layout, column, baseline, best[0], texts[best[0]]),
    )


def compare_classes(
    cells: ByClass, baseline: str, labels: Sequence[str], looks: Looks | None
) -> dict[str, dict[str, Comparison]]:
    """Each class of the rows `labels` against the baseline's, by row and class; p corrected over rows x classes."""
    found = {
        (label, name): compare(paired(by_row[label].values, by_row[baseline].values)[1], looks)
        for label in labels
        for name, by_row in cells.items()
    }
    rows = {label for by_row in cells.values() for label, cell in by_row.items() if cell.n and label != baseline}
    verdicts = corrected(found, family=len(rows) * len(cells))
    return {label: {name: verdicts[label, name] for name in cells} for label in labels}


def notes_of(
    results: SweepResults,
    layout: TableLayout,
    column: Column,
    baseline: str,
    best: str,
    texts: Mapping[str, CellText],
) -> tuple[Note, ...]:
    """What the marks mean, and which classes gain and lose in the row `best`."""
    sweep = results.sweep
    used, looks = marks_in(layout), looks_of(sweep)
    explanations = {
        Mark.DELTA: f"mean difference to “{baseline}” over the seeds that both have, in points.",
        Mark.ALIKE: f"not distinguishable from “{baseline}” ({TEST}).",
        Mark.SIGNIFICANT: f"p ≤ 0.05 ({TEST}).",
        Mark.FEWER: "fewer seeds than planned: a run failed, or the class is not in its images.",
        Mark.PROVISIONAL: "provisional: planned runs are still to come.",
        Mark.MIXED: f"{explain_other_code(results, [header.key for header in layout.headers])}.",
        Mark.CHOSEN: explain_chosen(sweep),
        Mark.MISSING: "no value: no run is done, or the class is not in its images.",
    }
    notes = [Note(mark=mark, text=text) for mark, text in explanations.items() if mark in used]
    if all(text.p is None for text in texts.values()):
        return (*notes, Note(text="Fewer than three seeds in common: no test."))
    gains, losses = (
        [name for name, text in texts.items() if text.significant and sign * (text.cell.delta or 0) > 0]
        for sign in (1, -1)
    )
    text = f"“{best}” gains in: {name_classes(gains)}; loses in: {name_classes(losses)}"
    notes.append(Note(text=f"{text} (at {ALPHA:.0%}, corrected).".replace("%", " %")))
    return (*notes, Note(text=detectable_classes(column, texts, baseline, best, looks)))


def detectable_classes(
    column: Column, texts: Mapping[str, CellText], baseline: str, best: str, looks: Looks | None
) -> str:
    """The smallest and the largest of the differences that the classes of the row `best` could have shown."""
    sizes = {
        name: found.text
        for name, text in texts.items()
        if text.comparison is not None and (found := detectable(column, [text.comparison], looks)) is not None
    }
    least, most = min(sizes, key=lambda name: float(sizes[name])), max(sizes, key=lambda name: float(sizes[name]))
    return (
        f"Smallest difference of “{best}” to “{baseline}” that is found with {POWER_TEXT}: "
        f"from {sizes[least]} ({least}) to {sizes[most]} ({most}) points."
    )


def name_classes(names: Sequence[str]) -> str:
    """The classes in one line."""
    return ", ".join(names) or "no class"
