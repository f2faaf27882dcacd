"""The small print under a table: every mark that is used, explained, and no other."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from orchestrator.records import AttemptRecord, State, SweepRecord
from reports.aggregate import Cell, Gap
from reports.columns import Column
from reports.problems import Problem, name_runs

__all__ = ["Mark", "Note", "shared_rows", "write_notes"]


class Mark(StrEnum):
    """What a note explains; the renderers know how each looks."""

    NONE = "none"
    BEST = "best"
    SECOND = "second"
    DELTA = "delta"
    """The signed subscript."""
    FEWER = "fewer"
    """† on a value."""
    MISSING = "missing"
    """An en dash instead of a value."""
    SHARED = "shared"
    """‡ on a row's label."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Note:
    """One sentence, and the mark it explains."""

    text: str
    mark: Mark = Mark.NONE


def write_notes(
    sweep: SweepRecord,
    outcomes: Mapping[str, AttemptRecord],
    columns: Sequence[Column],
    cells: Mapping[str, Sequence[Cell]],
    problems: Sequence[Problem],
    used: set[Mark],
) -> tuple[Note, ...]:
    """Notes for the marks in `used`, then for failed and missing runs, then for what makes rows incomparable.

    `cells` holds for each row label one cell per column.
    """
    explain: dict[Mark, Callable[[], str]] = {
        Mark.BEST: lambda: "best of its column, by the value as printed; ties alike.",
        Mark.SECOND: lambda: "second best.",
        Mark.DELTA: lambda: (
            f"mean difference to “{sweep.baseline}” over the seeds that both rows have, in the unit of the column."
        ),
        Mark.FEWER: lambda: f"fewer seeds than planned, not ranked: {'; '.join(name_partial(columns, cells))}.",
        Mark.MISSING: lambda: f"no value: {'; '.join(name_missing(columns, cells))}.",
        Mark.SHARED: lambda: (
            "rows that compute the same share their runs: "
            + "; ".join(" = ".join(labels) for labels in shared_rows(sweep))
            + "."
        ),
    }
    notes = [Note(mark=mark, text=text()) for mark, text in explain.items() if mark in used]
    notes += [Note(text=text) for text in plain_notes(sweep, outcomes, columns, cells, problems)]
    return tuple(notes)


def plain_notes(
    sweep: SweepRecord,
    outcomes: Mapping[str, AttemptRecord],
    columns: Sequence[Column],
    cells: Mapping[str, Sequence[Cell]],
    problems: Sequence[Problem],
) -> list[str]:
    """Sentences that belong to no mark."""
    texts = []
    if len(sweep.seeds) == 1 and any(column.ranked for column in columns):
        texts.append("One seed per row: nothing is called best.")
    by_kind: dict[str, list[tuple[str, int]]] = {}
    for problem in problems:
        if problem.gap.of_run:
            heading = f"{problem.gap.value.capitalize()}{f' ({problem.kind})' if problem.kind else ''}"
            by_kind.setdefault(heading, []).extend((row, problem.seed) for row in problem.rows)
    texts += [f"{heading}: {name_runs(runs)}." for heading, runs in by_kind.items()]
    for index, column in enumerate(columns):
        runs = [
            (label, seed)
            for label, row in cells.items()
            for seed, gap in row[index].gaps.items()
            if gap is Gap.NOT_FINITE
        ]
        if runs:
            texts.append(f"{column.name} is not a finite number: {name_runs(runs)}.")
    done = [outcomes[cell.trial_id] for cell in sweep.cells if cell.trial_id in outcomes]
    done = [outcome for outcome in done if outcome.state is State.DONE]
    for key, consequence in (("commit", "the rows may differ in code"), ("device", "costs are not comparable")):
        seen = sorted({outcome.environment[key] for outcome in done if outcome.environment.get(key)})
        if len(seen) > 1:
            texts.append(f"The runs come from {len(seen)} {key}s ({', '.join(seen)}): {consequence}.")
    return texts


def name_partial(columns: Sequence[Column], cells: Mapping[str, Sequence[Cell]]) -> list[str]:
    """`pixel memory 2 of 3`, with the columns where only some of the row's are concerned."""
    parts = []
    for label, row in cells.items():
        names: dict[str, list[str]] = {}
        for column, cell in zip(columns, row, strict=True):
            if 0 < cell.n < cell.expected:
                names.setdefault(f"{label} {cell.n} of {cell.expected}", []).append(column.name)
        parts += [
            count if len(concerned) == len(columns) else f"{count} ({', '.join(concerned)})"
            for count, concerned in names.items()
        ]
    return parts


def name_missing(columns: Sequence[Column], cells: Mapping[str, Sequence[Cell]]) -> list[str]:
    """Per reason the rows without any value, with the columns where the run itself is there."""
    parts: dict[str, list[str]] = {}
    for label, row in cells.items():
        for column, cell in zip(columns, row, strict=True):
            if cell.n:
                continue
            if any(not gap.of_run for gap in cell.gaps.values()):
                reason = "not finite" if Gap.NOT_FINITE in cell.gaps.values() else "not reported"
                parts.setdefault(f"{column.name} {reason}", []).append(label)
            elif label not in parts.setdefault("no finished run", []):
                parts["no finished run"].append(label)
    return [f"{reason} ({', '.join(labels)})" for reason, labels in parts.items()]


def shared_rows(sweep: SweepRecord) -> list[tuple[str, ...]]:
    """Groups of two or more row labels whose planned trials are the same."""
    trials: dict[str, list[tuple[int, str]]] = {row.label: [] for row in sweep.rows}
    for cell in sweep.cells:
        trials[cell.row].append((cell.seed, cell.trial_id))
    groups: dict[tuple[tuple[int, str], ...], list[str]] = {}
    for label, planned in trials.items():
        groups.setdefault(tuple(sorted(planned)), []).append(label)
    return [tuple(labels) for planned, labels in groups.items() if planned and len(labels) > 1]
