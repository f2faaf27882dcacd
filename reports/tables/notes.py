"""The notes under a table: every mark that is used, explained, and no other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, replace

from orchestrator.machine.first_few import first_few
from orchestrator.store.attempt_record import State
from orchestrator.store.sweep_record import SweepRecord
from orchestrator.store.sweep_results import SweepResults
from reports.stats.pairs import MIN_SEEDS
from reports.tables.aggregate import Gap
from reports.tables.cell_text import Mark
from reports.tables.columns import Column
from reports.tables.detectable import detectable_note
from reports.tables.layout import TableRow
from reports.tables.missing_runs import ROWS_NAMED, MissingRun, name_runs
from reports.tables.origin import Origin, codes_differ, differ, origins_of, seeds_of_other_code
from reports.tables.selection import explain_chosen
from reports.tables.sequential import looks_of

LETTERS_NAMED = 200
"""A note names rows with at most this many letters together."""

__all__ = [
    "Note",
    "NoteContext",
    "explain_marks",
    "explain_other_code",
    "in_order",
    "merge_notes",
    "of_some",
    "shared_rows",
    "write_notes",
]


@dataclass(frozen=True, kw_only=True, slots=True)
class Note:
    """One sentence, and the mark it explains."""

    text: str
    mark: Mark = Mark.NONE
    short: str = ""
    """The same in few words, for a legend on one line; empty where the text is short."""
    detail: bool = False
    """Of use to who checks the table rather than to a reader of the paper; LaTeX has it as a comment."""


@dataclass(frozen=True, kw_only=True)
class NoteContext:
    """What the notes are about: the results of a sweep and what its table shows of them."""

    results: SweepResults
    columns: Sequence[Column]
    rows: Sequence[TableRow]
    missing_runs: tuple[MissingRun, ...]
    published: str = ""
    """Where the published column comes from, and how its protocol differs."""


def write_notes(context: NoteContext, used: set[Mark]) -> list[Note]:
    """Notes for the marks in `used`, then for failed and missing runs, then for what makes rows incomparable."""
    return [*explain_marks(context, used), *plain_notes(context, used)]


def explain_marks(context: NoteContext, used: Set[Mark]) -> list[Note]:
    """Notes for the marks in `used`."""
    explanations: dict[Mark, Callable[[NoteContext], str]] = {
        Mark.BEST: explain_best,
        Mark.SECOND: lambda _: "second best.",
        Mark.ALIKE: explain_alike,
        Mark.DELTA: explain_difference,
        Mark.SIGNIFICANT: lambda _: "p ≤ 0.05 (paired t test, Holm over the rows).",
        Mark.FEWER: lambda context: f"fewer seeds than planned, not ranked: {name_partial(context, Mark.FEWER)}.",
        Mark.PROVISIONAL: lambda context: (
            f"provisional, not ranked: planned runs are still to come: {name_partial(context, Mark.PROVISIONAL)}."
        ),
        Mark.MIXED: explain_mixed,
        Mark.CHOSEN: lambda context: explain_chosen(context.results.sweep),
        Mark.MISSING: lambda context: f"no value: {'; '.join(name_missing(context))}.",
        Mark.SHARED: lambda context: (
            "rows that compute the same share their runs: "
            + "; ".join(" = ".join(labels) for labels in shared_rows(context.results.sweep))
            + "."
        ),
        Mark.PUBLISHED: lambda context: context.published,
    }
    short = short_legend(context, used)
    return [
        Note(mark=mark, text=explain(context), short=short.get(mark, ""))
        for mark, explain in explanations.items()
        if mark in used
    ]


def merge_notes(tables: Mapping[str, Sequence[Note]]) -> list[Note]:
    """The notes of several tables by their names: those of all once, others after the names of their tables.

    Notes that explain a mark come first, in the order of the marks.
    """
    by_note: dict[Note, list[str]] = {}
    for name, notes in tables.items():
        for note in notes:
            by_note.setdefault(note, []).append(name)
    shorts: dict[Mark, set[str]] = {}
    for note in by_note:
        shorts.setdefault(note.mark, set()).add(note.short)
    found = []
    for note, names in by_note.items():
        some = note if len(names) == len(tables) else of_some(note, names)
        found.append(replace(some, short=note.short) if len(shorts[note.mark]) == 1 else some)
    return in_order(found)


def of_some(note: Note, names: Sequence[str]) -> Note:
    """A note of the tables called `names` only."""
    start = f"({', '.join(names)})"
    return replace(note, text=f"{start} {note.text}", short=f"{start} {note.short}" if note.short else "")


def in_order(notes: Iterable[Note]) -> list[Note]:
    """Notes that explain a mark in the order of the marks, then the others."""
    marks = [mark for mark in Mark if mark is not Mark.NONE]
    return sorted(notes, key=lambda note: marks.index(note.mark) if note.mark in marks else len(marks))


def short_legend(context: NoteContext, used: Set[Mark]) -> dict[Mark, str]:
    """The marks that papers share, in few words."""
    baseline = context.results.sweep.baseline
    tested = "paired t test, Holm" if baseline else "paired t test, Holm over all pairs"
    other = f"“{baseline}”" if baseline else "the best"
    alike = "not significant" if Mark.DELTA in used else f"not significantly different from {other}"
    return {
        Mark.BEST: f"best{' so far' if is_outstanding(context) else ''}",
        Mark.SECOND: "second best",
        Mark.DELTA: f"difference to {other}, paired by seed",
        Mark.SIGNIFICANT: f"p ≤ 0.05 ({tested})",
        Mark.ALIKE: alike if Mark.SIGNIFICANT in used else f"{alike} ({tested})",
    }


def is_outstanding(context: NoteContext) -> bool:
    """Whether runs of the rows shown are still to come."""
    cells = [text.cell for row in context.rows for text in row.cell_texts]
    return any(gap.outstanding for cell in cells for gap in cell.gaps.values())


def explain_best(context: NoteContext) -> str:
    """What bold means, and whether runs are still to come."""
    text = f"best of its column{' so far' if is_outstanding(context) else ''}, as printed"
    tested = any(text.p is not None for row in context.rows for text in row.cell_texts)
    only = "; tested against the baseline only" if tested and context.results.sweep.baseline else ""
    return f"{text}{only}."


def explain_alike(context: NoteContext) -> str:
    """Which row the marked ones were compared with."""
    baseline = context.results.sweep.baseline
    if baseline is None:
        return "not distinguishable from the best of its column (paired t test at 5%, Holm over all pairs of rows)."
    return f"not distinguishable from “{baseline}” (paired t test at 5%, Holm over the rows)."


def explain_difference(context: NoteContext) -> str:
    """What the subscript is, and whether it was tested."""
    baseline = context.results.sweep.baseline
    text = f"mean difference to “{baseline}” over the seeds that both rows have"
    compared = [text.comparison for row in context.rows for text in row.cell_texts if text.comparison is not None]
    if any(item.distinguishable for item in compared):
        return f"{text}."
    if any(item.p_holm is not None for item in compared):
        return f"{text}; none is significant at 5% (paired t test, Holm over the rows)."
    seeds = max((item.n for item in compared), default=0)
    if not 0 < seeds < MIN_SEEDS:
        return f"{text}."
    return f"{text}; {'one seed' if seeds == 1 else f'{seeds} seeds'} in common: no test."


def explain_mixed(context: NoteContext) -> str:
    """Which rows other code computed, and which code and data the shown rows were made with."""
    origins = origins_of(context.results)
    other = explain_other_code(context.results, [row.label for row in context.rows])
    baseline = context.results.sweep.baseline
    reference = origins.get(baseline, frozenset()) if baseline is not None else frozenset()
    if not any(differ(origins[row.label] | reference) for row in context.rows):
        return f"{other}."
    groups: dict[str, list[str]] = {}
    for row in context.rows:
        for origin in origins[row.label]:
            groups.setdefault(origin.text, []).append(row.label)
    parts = [f"{text} ({name_labels(labels)})" for text, labels in sorted(groups.items())]
    mixed = "mixed: its runs, or those of the baseline, differ in code or data, so the difference may not be the row's"
    return f"{'; '.join(filter(None, (other, mixed)))}: {'; '.join(parts)}."


def explain_other_code(results: SweepResults, labels: Sequence[str]) -> str:
    """Which of the rows `labels` other code of the trainer computed, with the seeds; empty without one."""
    runs = [(row, seed) for row, seeds in seeds_of_other_code(results).items() if row in labels for seed in seeds]
    return f"computed by other code of the trainer than this plan's: {name_runs(runs)}" if runs else ""


def name_labels(labels: Sequence[str]) -> str:
    """Labels in one line; of many or long ones the first are named and the others counted."""
    named: list[str] = []
    for label in labels[:ROWS_NAMED]:
        if named and sum(map(len, named)) + len(label) > LETTERS_NAMED:
            break
        named.append(label)
    more = len(labels) - len(named)
    return ", ".join(named) + (f" and {more} more" if more else "")


def plain_notes(context: NoteContext, used: set[Mark]) -> list[Note]:
    """Sentences that explain no mark."""
    sweep, notes = context.results.sweep, list[Note]()
    if (looks := looks_of(sweep)) is not None:
        notes.append(Note(text=f"Seeds were added until decided: {looks.correction}."))
    if len(sweep.seeds) == 1 and any(column.ranked for column in context.columns):
        notes.append(Note(text="One seed per row: nothing is called best."))
    if line := detectable_note(context.columns, context.rows, sweep.baseline, looks_of(sweep)):
        notes.append(Note(text=line, detail=True))
    by_kind: dict[str, list[tuple[str, int]]] = {}
    for missing in context.missing_runs:
        if missing.gap.of_run:
            heading = f"{missing.gap.value.capitalize()}{f' ({missing.kind})' if missing.kind else ''}"
            by_kind.setdefault(heading, []).extend((row, missing.seed) for row in missing.rows)
    notes += [Note(text=f"{heading}: {name_runs(runs)}.") for heading, runs in by_kind.items()]
    for place, column in enumerate(context.columns):
        runs = [
            (row.label, seed)
            for row in context.rows
            for seed, gap in row.cell_texts[place].cell.gaps.items()
            if gap is Gap.NOT_FINITE
        ]
        if runs:
            notes.append(Note(text=f"{column.name} is not a finite number: {name_runs(runs)}."))
    outcomes = [context.results.outcomes[key] for key in sweep.trial_ids if key in context.results.outcomes]
    checks = [("device", "costs are not comparable"), ("decoder", "the pixels of JPEG images may differ")]
    origins = {Origin.of(item, sweep) for item in outcomes if item.state is State.DONE}
    if codes_differ(origins) and Mark.MIXED not in used:
        checks.insert(0, ("commit", "the rows may differ in code"))
    for key, consequence in checks:
        names = sorted({item.environment.get(key, "") for item in outcomes if item.state is State.DONE} - {""})
        if len(names) > 1:
            text = f"The runs come from {len(names)} {key}s ({', '.join(names)}): {consequence}."
            notes.append(Note(text=text))
    return notes


def name_partial(context: NoteContext, mark: Mark) -> str:
    """The marked rows: `pixel memory 2 of 3`, with the columns where not all columns of the row are marked."""
    parts = []
    for row in context.rows:
        names: dict[str, list[str]] = {}
        for column, text in zip(context.columns, row.cell_texts, strict=True):
            if mark in text.marks:
                names.setdefault(f"{row.label} {text.cell.n} of {text.cell.expected}", []).append(column.name)
        valued = sum(bool(text.mean) for text in row.cell_texts)
        parts += [
            count if len(concerned) == valued else f"{count} ({', '.join(concerned)})"
            for count, concerned in names.items()
        ]
    return first_few(parts, ROWS_NAMED, "; ")


def name_missing(context: NoteContext) -> list[str]:
    """By reason, the rows without a value although their runs are done."""
    labels: dict[tuple[str, str], list[str]] = {}
    for row in context.rows:
        for column, text in zip(context.columns, row.cell_texts, strict=True):
            if not text.cell.n and not text.missing:
                reason = "not finite" if Gap.NOT_FINITE in text.cell.gaps.values() else "not reported"
                labels.setdefault((column.name, reason), []).append(row.label)
    columns: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for (name, reason), concerned in labels.items():
        columns.setdefault((reason, tuple(concerned)), []).append(name)
    return [f"{', '.join(names)} {reason} ({name_labels(rows)})" for (reason, rows), names in columns.items()]


def shared_rows(sweep: SweepRecord) -> list[tuple[str, ...]]:
    """Groups of two or more row labels whose planned trials are the same."""
    trials: dict[str, list[tuple[int, str]]] = {row.label: [] for row in sweep.rows}
    for run in sweep.cells:
        trials[run.row].append((run.seed, run.trial_id))
    groups: dict[tuple[tuple[int, str], ...], list[str]] = {}
    for label, planned in trials.items():
        groups.setdefault(tuple(sorted(planned)), []).append(label)
    return [tuple(labels) for planned, labels in groups.items() if planned and len(labels) > 1]
