"""The table of classes: which gain and which lose against the baseline, largest gain first.

One line per class, one column for the baseline and one for each of the best rows. Differences are paired by seeds. All
tests of the table are one family, of every row of the sweep with every class: the rows shown were selected among them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from orchestrator.store.attempt_record import State
from orchestrator.store.sweep_record import SweepRecord
from orchestrator.store.sweep_results import SweepResults
from orchestrator.workload.data_record import DataRecord
from orchestrator.workload.metric import Metric, class_families
from reports.stats.comparisons import Comparison, compare, corrected
from reports.stats.looks import Looks
from reports.stats.p_values import ALPHA
from reports.stats.pairs import paired
from reports.tables.aggregate import Cell, aggregate, rank_rows
from reports.tables.cell_text import CellText, Mark
from reports.tables.columns import Column, column_for
from reports.tables.detectable import POWER_TEXT, detectable
from reports.tables.layout import TableLayout, TableRow, list_layout, marks_in
from reports.tables.notes import Note, explain_other_code
from reports.tables.origin import seeds_of_other_code
from reports.tables.row_headers import RowHeaders, row_titles
from reports.tables.selection import explain_chosen, mark_row
from reports.tables.sequential import looks_of
from reports.tables.table import Table, sentence

__all__ = ["MOST_ROWS", "build_class_table", "build_class_tables", "compare_classes", "never_right"]

ByClass = Mapping[str, Mapping[str, Cell]]
"""Class -> row label -> cell."""

TEST = "paired t test, Holm over rows × classes"
PERCENT = 100.0
"""Scale of a column in per cent, whose differences are points."""
MOST_ROWS = 2
"""The best rows by the sweep's metric that are shown beside the baseline."""


def build_class_tables(results: SweepResults) -> dict[str, Table]:
    """The table by its file name `classes`; in a sweep over several data sets one for each, as `classes-camvid`.

    A workload with several families of figures of the classes has a table of each; those after the first have the name
    of the family in theirs: `classes-recall`.
    """
    tables: dict[str, Table | None] = {}
    for number, family in enumerate(class_families(results.sweep.declared_metrics)):
        stem = f"classes-{family.file_stem}" if number else "classes"
        if len(results.sweep.data_sets) < 2:
            tables[stem] = build_class_table(results, family)
        else:
            tables |= {
                f"{stem}-{part.sweep.data_sets[0].stem}": build_class_table(part, family) for part in results.parts
            }
    return {stem: table for stem, table in tables.items() if table is not None}


def build_class_table(results: SweepResults, family: Metric) -> Table | None:
    """The table of a family of figures; None without scored classes, a baseline, or a row to compare with it.

    `results` are those on one data set; if the sweep has named it, so does the table.
    """
    sweep, baseline = results.sweep, results.sweep.baseline
    data = sweep.data_sets[0] if sweep.data_sets else None
    reported = set[str]().union(*(item.metrics for item in results.outcomes.values() if item.state is State.DONE))
    names = sorted(key.removeprefix(family.name) for key in reported if family.covers(key))
    if not names or baseline is None:
        return None
    ranking = rank_rows(sweep, aggregate(results, sweep.metric))
    best = [label for label in ranking if label != baseline][:MOST_ROWS]
    if not best or baseline not in ranking:
        return None
    column = column_for(f"{family.name}any", metrics=sweep.declared_metrics, metric=sweep.metric, goal=sweep.goal)
    titles = row_titles(sweep)
    columns = tuple(replace(column, key=label, name=titles[label], unit="") for label in (baseline, *best))
    cells = {name: aggregate(results, f"{family.name}{name}") for name in names}
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
    better = -1 if column.direction == "down" else 1
    gain = {name: texts[best[0]][name].cell.delta for name in names}
    names.sort(key=lambda name: (gain[name] is None, -better * (gain[name] or 0.0), name))
    cell_texts = {name: tuple(texts[label][name] for label in (baseline, *best)) for name in names}
    never = [] if column.direction == "down" else never_right(cells)
    rows = tuple(TableRow(label=name, factors={}, cell_texts=cell_texts[name]) for name in names if name not in never)
    headers = RowHeaders(names=("Class",), texts=tuple((row.label,) for row in rows))
    layout = list_layout(headers, columns, rows, published={}, intervals={best[0]})
    unit = f" ({family.unit})" if family.unit else ""
    caption = f"{family.family_title} of the classes{unit}, sorted by the gain of “{titles[best[0]]}”."
    first = family == class_families(sweep.declared_metrics)[0]
    ending = "classes" if first else f"classes-{family.file_stem}"
    title = "classes" if first else f"{family.family_title} of the classes"
    of_data = f" of {data.name}" if data else ""
    return Table(
        name=f"{sweep.name}: {title}{of_data}",
        caption=f"{caption} {sentence(sweep.protocol)}" if sweep.protocol else caption,
        label=f"{sweep.table.label or f'tab:{sweep.name}'}-{ending}{f'-{data.stem}' if data else ''}",
        question=f"Which classes{of_data} gain and which lose?",
        recipe=sweep.recipe,
        protocol=sweep.protocol,
        seeds=sweep.seeds,
        columns=columns,
        rows=rows,
        cells={name: tuple(text.cell for text in row) for name, row in cell_texts.items()},
        factors={name: {} for name in names},
        layout=layout,
        notes=(
            *notes_of(results, layout, column, titles[baseline], titles[best[0]], texts[best[0]]),
            *(Note(text=text) for text in left_out(sweep, names, never)),
        ),
    )


def never_right(cells: ByClass) -> list[str]:
    """The classes whose figure is zero in every run, unless all are."""
    values = {
        name: [value for cell in by_row.values() for value in cell.values.values()] for name, by_row in cells.items()
    }
    zero = [name for name, found in values.items() if found and not any(found)]
    return zero if len(zero) < len(cells) else []


def left_out(sweep: SweepRecord, reported: Collection[str], never: Sequence[str]) -> list[str]:
    """Why classes are not in the table: `never` right, or not `reported` because no test example shows them."""
    data = sweep.data[0] if len(sweep.data) == 1 else DataRecord(title="")
    texts = []
    if never:
        names = name_classes(sorted(never))
        texts.append(f"Not listed, because none of their {data.labelled} is right in any run: {names}.")
    absent = [name for name in data.class_names if name not in reported]
    if absent and set(reported) < set(data.class_names):
        texts.append(f"Absent from the test split: {name_classes(absent)}.")
    return texts


def compare_classes(
    cells: ByClass, baseline: str, labels: Sequence[str], looks: Looks | None
) -> dict[str, dict[str, Comparison]]:
    """Each class of the rows `labels` against the baseline's, by row and class; p corrected over rows × classes."""
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
    """What the marks mean, and which classes gain and lose in the row `best`; both rows by their titles."""
    sweep = results.sweep
    used, looks = marks_in(layout), looks_of(sweep)
    examples = next((data.examples for data in sweep.data), "images")
    points = ", in points" if column.scale == PERCENT else ""
    explanations = {
        Mark.DELTA: f"mean difference to “{baseline}” over the seeds that both have{points}.",
        Mark.ALIKE: f"not distinguishable from “{baseline}” ({TEST}).",
        Mark.SIGNIFICANT: f"p ≤ 0.05 ({TEST}).",
        Mark.FEWER: f"fewer seeds than planned: a run failed, or the class is not in its {examples}.",
        Mark.PROVISIONAL: "provisional: planned runs are still to come.",
        Mark.MIXED: f"{explain_other_code(results, [header.key for header in layout.headers])}.",
        Mark.CHOSEN: explain_chosen(sweep),
        Mark.MISSING: f"no value: no run is done, or the class is not in its {examples}.",
    }
    short = {
        Mark.DELTA: f"difference to “{baseline}”, paired by seed",
        Mark.SIGNIFICANT: explanations[Mark.SIGNIFICANT].rstrip("."),
        Mark.ALIKE: f"not significant{'' if Mark.SIGNIFICANT in used else f' ({TEST})'}",
    }
    notes = [
        Note(mark=mark, text=text, short=short.get(mark, "")) for mark, text in explanations.items() if mark in used
    ]
    if all(text.p is None for text in texts.values()):
        return (*notes, Note(text="Fewer than three seeds in common: no test."))
    better = -1 if column.direction == "down" else 1
    gains, losses = (
        [name for name, text in texts.items() if text.significant and sign * better * (text.cell.delta or 0) > 0]
        for sign in (1, -1)
    )
    text = f"“{best}” gains in: {name_classes(gains)}; loses in: {name_classes(losses)}"
    notes.append(Note(text=f"{text} (at {ALPHA:.0%}, corrected).", detail=True))
    return (*notes, Note(text=detectable_classes(column, texts, baseline, best, looks), detail=True))


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
        f"from {sizes[least]} ({least}) to {sizes[most]} ({most}){' points' if column.scale == PERCENT else ''}."
    )


def name_classes(names: Sequence[str]) -> str:
    """The classes in one line."""
    return ", ".join(names) or "no class"
