"""`status --plans`: every plan that a sweep has had, and in what each differs from the one before."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from orchestrator.commands.local_time import local_time
from orchestrator.commands.which_trials import seed_ranges
from orchestrator.machine.first_few import first_few
from orchestrator.machine.text_table import Line, Part, TextTable
from orchestrator.store.kept_plans import KeptPlan
from orchestrator.store.run_directory import RunDirectory
from orchestrator.store.sweep_record import SweepRecord

__all__ = ["differences", "plans_as_json", "plans_as_text"]

MOST_PLANS = 8
"""Plans that are shown without `--all`: the newest ones."""
MOST_NAMED = 4
"""Rows or settings that are named for one difference; the others are counted."""
PLAIN_FIELDS = ("question", "method", "recipe", "metric", "goal", "baseline", "looks", "models")
ABSENT = "not set"


def plans_as_text(directory: RunDirectory, name: str, *, every: bool = False) -> list[Part]:
    """What the terminal shows: the newest plans, or with `every` all. Raises StoreError when there is no such sweep."""
    entries = list(described(directory, name))
    shown = entries if every else entries[-MOST_PLANS:]
    parts: list[Part] = [Line(f"{name}: {len(entries)} plan{'s' if len(entries) > 1 else ''}", "bold")]
    if earlier := entries[: -len(shown)]:
        parts.append(f"the first {len(earlier)} are not shown; --all lists them")
    rows = [
        (
            str(entry["number"] or "–"),
            str(entry["date"] or "since the last"),
            f"{'-' if entry['done'] is None else entry['done']}/{entry['trials']}",
            "; ".join(entry["differs"]),
        )
        for entry in shown
    ]
    header = ("plan", "kept on", "done", "what differs from the one before")
    return [
        *parts,
        "",
        TextTable(header=header, rows=rows, right=frozenset({0, 2})),
        "",
        "`python -m reports SPEC.yaml --plan N` writes the table of a numbered plan as it was then",
    ]


def plans_as_json(directory: RunDirectory, name: str) -> dict[str, Any]:
    """The same as JSON; `number`, `date` and `done` are null for a plan that is not kept yet because it still runs."""
    return {"sweep": name, "plans": list(described(directory, name))}


def described(directory: RunDirectory, name: str) -> Iterator[dict[str, Any]]:
    """Number, date, trials and differences of each kept plan, and of the current one if it is not kept yet."""
    current = directory.sweep(name)
    before: KeptPlan | None = None
    for kept in directory.kept_plans(name):
        date = local_time(kept.kept_at)
        differs = ["first plan"] if before is None else list(differences(before.sweep, kept.sweep))
        if before is not None and not differs:
            differs = ["same plan, other results"]
        trials = len(kept.sweep.trial_ids)
        yield {"number": kept.number, "date": date, "done": kept.done, "trials": trials, "differs": differs}
        before = kept
    if before is None or (differs := list(differences(before.sweep, current))):
        what = ["not kept yet: a sweep keeps its plan when it ends"] if before is None else differs
        yield {"number": None, "date": None, "done": None, "trials": len(current.trial_ids), "differs": what}


def differences(before: SweepRecord, after: SweepRecord) -> Iterator[str]:
    """In what a plan differs from the one before, one text per kind: rows, seeds, settings, data, table."""
    for key in PLAIN_FIELDS:
        was, now = getattr(before, key), getattr(after, key)
        if was != now:
            yield f"{key}: {was} -> {now}"
    if before.seeds != after.seeds:
        yield f"seeds: {', '.join(seed_ranges(before.seeds))} -> {', '.join(seed_ranges(after.seeds))}"
    rows_before, rows_after = ({row.label: row for row in sweep.rows} for sweep in (before, after))
    yield from named("new rows", [label for label in rows_after if label not in rows_before])
    yield from named("without rows", [label for label in rows_before if label not in rows_after])
    changed = [label for label, row in rows_after.items() if rows_before.get(label, row).factors != row.factors]
    yield from named("changed rows", changed)
    data_before, data_after = ({item.name: item for item in sweep.data_sets} for sweep in (before, after))
    if list(data_before) != list(data_after):
        yield f"data sets: {', '.join(data_before) or 'one'} -> {', '.join(data_after) or 'one'}"
    settings = list(changes(before.settings, after.settings))
    for name, item in data_after.items():
        was = data_before.get(name, item)
        settings += [f"{text} ({name})" for text in changes(was.settings, item.settings)]
    yield from named("settings", settings)
    yield from named("search", list(changes(before.search, after.search)))
    if not settings and renamed(before, after, set(changed)):
        yield "trials: other data or another result version"
    if before.table != after.table:
        yield "table: other columns or layout"
    if before.spec != after.spec:
        yield "text of the search space"


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    """`schedule.steps 80 -> 60` for each key that differs; a long value is left out."""
    for key in sorted(before.keys() | after.keys()):
        was, now = before.get(key, ABSENT), after.get(key, ABSENT)
        if was != now:
            text = f"{key} {was} -> {now}"
            yield text if len(text) <= 100 else key


def renamed(before: SweepRecord, after: SweepRecord, changed: set[str]) -> bool:
    """Whether a row and seed of both plans, whose own settings are equal, has another trial."""
    known = {(run.title, run.seed): run.trial_id for run in before.cells}
    return any(
        known.get((run.title, run.seed), run.trial_id) != run.trial_id for run in after.cells if run.row not in changed
    )


def named(kind: str, texts: list[str]) -> Iterator[str]:
    """`kind: a, b and 3 more`; nothing without texts."""
    if texts:
        yield f"{kind}: {first_few(texts, MOST_NAMED)}"
