"""The small print under a table: every mark that is used, explained, and no other."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from orchestrator.store.records import AttemptRecord, State, SweepRecord
from reports.stats import MIN_SEEDS
from reports.tables.aggregate import Gap
from reports.tables.cell_text import CellText, Mark, Origin
from reports.tables.columns import Column
from reports.tables.missing_runs import ROWS_NAMED, MissingRun, name_runs

LETTERS_NAMED = 200
"""A note names rows with at most so many letters together."""

__all__ = ["Mark", "Note", "NoteContext", "shared_rows", "write_notes"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Note:
    """One sentence, and the mark it explains."""

    text: str
    mark: Mark = Mark.NONE


@dataclass(frozen=True, kw_only=True)
class NoteContext:
    """What the notes are about: a sweep and what its table shows of it."""

    sweep: SweepRecord
    outcomes: Mapping[str, AttemptRecord]
    columns: Sequence[Column]
    cell_texts: Mapping[str, Sequence[CellText]]
    """For each shown row one cell_text per column."""
    origins: Mapping[str, frozenset[Origin]]
    missing_runs: Sequence[MissingRun]
    correction: str = ""
    """How p is corrected where seeds were added while looking; empty where their number was fixed."""
    published: str = ""
    """Where the published column comes from, and how its protocol differs."""


def write_notes(seen: NoteContext, used: set[Mark]) -> tuple[Note, ...]:
    """Notes for the marks in `used`, then for failed and missing runs, then for what makes rows incomparable."""
    explain: dict[Mark, Callable[[NoteContext], str]] = {
        Mark.BEST: explain_best,
        Mark.SECOND: lambda _: "second best.",
        Mark.ALIKE: lambda _: (
            "not distinguishable from the best of its column (paired t test at 5 %, Holm over all pairs of rows)."
        ),
        Mark.DELTA: explain_difference,
        Mark.SIGNIFICANT: lambda _: "p ≤ 0.05 (paired t test, Holm over the rows).",
        Mark.FEWER: lambda seen: f"fewer seeds than planned, not ranked: {name_parts(name_partial(seen, Mark.FEWER))}.",
        Mark.PROVISIONAL: lambda seen: (
            "provisional, not ranked: planned runs are still to come: "
            f"{name_parts(name_partial(seen, Mark.PROVISIONAL))}."
        ),
        Mark.MIXED: explain_mixed,
        Mark.MISSING: lambda seen: f"no value: {'; '.join(name_missing(seen))}.",
        Mark.SHARED: lambda seen: (
            "rows that compute the same share their runs: "
            + "; ".join(" = ".join(labels) for labels in shared_rows(seen.sweep))
            + "."
        ),
        Mark.PUBLISHED: lambda seen: seen.published,
    }
    notes = [Note(mark=mark, text=text(seen)) for mark, text in explain.items() if mark in used]
    notes += [Note(text=text) for text in plain_notes(seen, used)]
    return tuple(notes)


def explain_best(seen: NoteContext) -> str:
    """What bold means, and of how many."""
    outstanding = any(
        gap.outstanding for row in seen.cell_texts.values() for cell_text in row for gap in cell_text.cell.gaps.values()
    )
    return f"best of its column{' so far' if outstanding else ''}, by the value as printed; ties alike."


def explain_difference(seen: NoteContext) -> str:
    """What the subscript is, and whether it was tested."""
    text = f"mean difference to “{seen.sweep.baseline}” over the seeds that both rows have, in the unit of the column"
    compared = [
        cell_text.comparison
        for row in seen.cell_texts.values()
        for cell_text in row
        if cell_text.comparison is not None
    ]
    if any(item.distinguishable() for item in compared):
        return f"{text}."
    if any(item.p_holm is not None for item in compared):
        return f"{text}; none is significant at 5 % (paired t test, Holm over the rows)."
    seeds = max((item.n for item in compared), default=0)
    return (
        f"{text}; {'one seed' if seeds == 1 else f'{seeds} seeds'} in common: no test."
        if 0 < seeds < MIN_SEEDS
        else f"{text}."
    )


def explain_mixed(seen: NoteContext) -> str:
    """What the § rows were made with."""
    groups: dict[str, list[str]] = {}
    for label in seen.cell_texts:
        for origin in seen.origins.get(label, ()):
            groups.setdefault(origin.text, []).append(label)
    parts = [f"{text} ({name_labels(labels)})" for text, labels in sorted(groups.items())]
    return (
        "mixed: its runs, or those of the baseline, differ in code or data, so the difference may not be the row's: "
        + "; ".join(parts)
        + "."
    )


def name_labels(labels: Sequence[str]) -> str:
    """Labels in one line; many of them, or long ones, are cut and counted."""
    named: list[str] = []
    for label in labels[:ROWS_NAMED]:
        if named and sum(map(len, named)) + len(label) > LETTERS_NAMED:
            break
        named.append(label)
    more = len(labels) - len(named)
    return ", ".join(named) + (f" and {more} more" if more else "")


def name_parts(parts: Sequence[str]) -> str:
    """The same for parts that hold commas themselves."""
    return "; ".join(parts[:ROWS_NAMED]) + (f"; and {len(parts) - ROWS_NAMED} more" if len(parts) > ROWS_NAMED else "")


def plain_notes(seen: NoteContext, used: set[Mark]) -> list[str]:
    """Sentences that belong to no mark."""
    sweep, texts = seen.sweep, []
    if seen.correction:
        texts.append(f"Seeds were added until decided: {seen.correction}.")
    if len(sweep.seeds) == 1 and any(column.ranked for column in seen.columns):
        texts.append("One seed per row: nothing is called best.")
    by_kind: dict[str, list[tuple[str, int]]] = {}
    for missing_run in seen.missing_runs:
        if missing_run.gap.of_run:
            heading = f"{missing_run.gap.value.capitalize()}{f' ({missing_run.kind})' if missing_run.kind else ''}"
            by_kind.setdefault(heading, []).extend((row, missing_run.seed) for row in missing_run.rows)
    texts += [f"{heading}: {name_runs(runs)}." for heading, runs in by_kind.items()]
    for index, column in enumerate(seen.columns):
        runs = [
            (label, seed)
            for label, row in seen.cell_texts.items()
            for seed, gap in row[index].cell.gaps.items()
            if gap is Gap.NOT_FINITE
        ]
        if runs:
            texts.append(f"{column.name} is not a finite number: {name_runs(runs)}.")
    done = [seen.outcomes[cell.trial_id] for cell in sweep.cells if cell.trial_id in seen.outcomes]
    done = [outcome for outcome in done if outcome.state is State.DONE]
    checks = [("device", "costs are not comparable")]
    if Mark.MIXED not in used:
        checks.insert(0, ("commit", "the rows may differ in code"))
    for key, consequence in checks:
        names = sorted({outcome.environment[key] for outcome in done if outcome.environment.get(key)})
        if len(names) > 1:
            texts.append(f"The runs come from {len(names)} {key}s ({', '.join(names)}): {consequence}.")
    return texts


def name_partial(seen: NoteContext, mark: Mark) -> list[str]:
    """`pixel memory 2 of 3`, with the columns where only some of the row's are concerned."""
    parts = []
    for label, row in seen.cell_texts.items():
        names: dict[str, list[str]] = {}
        for column, cell_text in zip(seen.columns, row, strict=True):
            if mark in cell_text.marks:
                names.setdefault(f"{label} {cell_text.cell.n} of {cell_text.cell.expected}", []).append(column.name)
        valued = sum(bool(cell_text.mean) for cell_text in row)
        parts += [
            count if len(concerned) == valued else f"{count} ({', '.join(concerned)})"
            for count, concerned in names.items()
        ]
    return parts


def name_missing(seen: NoteContext) -> list[str]:
    """Per reason the rows without a value although their runs are there."""
    labels: dict[tuple[str, str], list[str]] = {}
    for label, row in seen.cell_texts.items():
        for column, cell_text in zip(seen.columns, row, strict=True):
            if not cell_text.cell.n and not cell_text.missing:
                reason = "not finite" if Gap.NOT_FINITE in cell_text.cell.gaps.values() else "not reported"
                labels.setdefault((column.name, reason), []).append(label)
    columns: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for (name, reason), concerned in labels.items():
        columns.setdefault((reason, tuple(concerned)), []).append(name)
    return [f"{', '.join(names)} {reason} ({name_labels(rows)})" for (reason, rows), names in columns.items()]


def shared_rows(sweep: SweepRecord) -> list[tuple[str, ...]]:
    """Groups of two or more row labels whose planned trials are the same."""
    trials: dict[str, list[tuple[int, str]]] = {row.label: [] for row in sweep.rows}
    for cell in sweep.cells:
        trials[cell.row].append((cell.seed, cell.trial_id))
    groups: dict[tuple[tuple[int, str], ...], list[str]] = {}
    for label, planned in trials.items():
        groups.setdefault(tuple(sorted(planned)), []).append(label)
    return [tuple(labels) for planned, labels in groups.items() if planned and len(labels) > 1]
