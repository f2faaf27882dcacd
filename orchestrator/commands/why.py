"""`why`: how many trials would run or be reused and why, in groups; with `--all` a line for each trial."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Sequence

from orchestrator.commands.local_time import local_time
from orchestrator.commands.reason_kind import Kind, describe_kinds
from orchestrator.commands.reasons import Reason, Reasons, value_text
from orchestrator.commands.which_trials import describe_trials
from orchestrator.machine.first_few import first_few, first_lines
from orchestrator.machine.text_table import Line, Part, TextTable
from orchestrator.planning.plan import SweepPlan
from orchestrator.planning.stale import remedy
from orchestrator.store.run_directory import RunDirectory
from orchestrator.store.sweep_record import SweepRecord

__all__ = ["describe_reasons", "group_reasons", "summary"]

MOST_GROUPS = 10
"""Groups that are shown without `--all`."""
MOST_KEYS = 3
"""Changed keys that are named for a group."""
MOST_COMMITS = 2
MOST_FILES = 3
"""Files that cannot be read and are named without `--all`."""
STYLES = {"runs": "yellow", "stale": "red", "reused": "green"}


def describe_reasons(plan: SweepPlan, directory: RunDirectory, *, every: bool = False) -> list[Part]:
    """A summary, then a line for each group of reasons; with `every` also one for each trial, in running order."""
    reasons = Reasons(plan, directory)
    found = list(reasons)
    parts: list[Part] = [Line(summary(plan.record, found), "bold")]
    parts += first_lines(reasons.unreadable, None if every else MOST_FILES)
    groups = group_reasons(found)
    shown = groups if every else groups[:MOST_GROUPS]
    rows = [row_of(plan.record, group) for group in shown]
    if groups:
        parts += ["", TextTable(header=("trials", "", "why", "which"), rows=rows, right=frozenset({0}))]
    if rest := groups[len(shown) :]:
        parts.append(f"and {len(rest)} more reasons, {sum(map(len, rest))} trials")
    if reasons.stale:
        parts += ["", f"stale: {remedy(reasons.state.stale)}"]
    if not every:
        return [*parts, "", Line("--all shows each trial", "dim")] if found else parts
    labels = plan.record.labels
    lines = (
        Line(f"{item.kind.verb:<9}{labels[item.trial_id]} [{item.trial_id}]: {item.detail}", STYLES[item.kind.verb])
        for item in found
    )
    return [*parts, "", *lines]


def summary(plan: SweepRecord, reasons: Iterable[Reason]) -> str:
    """`ablation_memory: 15 trials: 12 reused, 3 to run: 3 new seeds`."""
    counts = Counter(item.kind for item in reasons)
    to_run = counts.total() - counts[Kind.REUSED] - counts[Kind.STALE]
    text = f"{counts[Kind.REUSED]} reused, {to_run} to run"
    text += f": {describe_kinds(counts)}" if to_run else ""
    if counts[Kind.STALE]:
        text += f"; {counts[Kind.STALE]} stale: code changed"
    return f"{plan.name}: {counts.total()} trial{'' if counts.total() == 1 else 's'}: {text}"


def group_reasons(reasons: Iterable[Reason]) -> list[list[Reason]]:
    """Reasons that are shown together: what runs first, then what is stale, then what is reused; the largest first."""
    groups: dict[Hashable, list[Reason]] = {}
    for item in reasons:
        groups.setdefault((item.kind, item.text, tuple(item.changes)), []).append(item)
    order = list(STYLES)
    return sorted(groups.values(), key=lambda group: (order.index(group[0].kind.verb), -len(group)))


def row_of(plan: SweepRecord, group: Sequence[Reason]) -> tuple[str | Line, ...]:
    """How many trials, what happens to them, why, and which they are."""
    kind, text = group[0].kind, group[0].text
    if kind is Kind.REUSED:
        text = f"{describe_results(group)}{f', {text}' if text else ''}"
    elif kind is Kind.CHANGED:
        text = describe_changes(group)
    elif kind is Kind.FAILED:
        text = f"failed before: {text}"
    which = describe_trials(plan, {item.trial_id for item in group})
    return str(len(group)), Line(kind.verb, STYLES[kind.verb]), text, which


def describe_results(group: Sequence[Reason]) -> str:
    """`done on 2026-11-27 10:15, commit 17c5cb7`, with the first and the last time and the commits of the results."""
    records = [item.record for item in group if item.record is not None]
    times = sorted({local_time(record.ended_at) for record in records})
    when = f"on {times[0]}"
    if len(times) > 1:
        (day, _), (last_day, last) = (time.split() for time in (times[0], times[-1]))
        when += f" to {last}" if day == last_day else f" to {last_day} {last}"
    commits = dict.fromkeys(
        f"{commit[:7]}{' with changes' if record.environment.get('dirty') else ''}"
        for record in records
        if (commit := record.environment.get("commit", ""))
    )
    named = f", commit{'s' if len(commits) > 1 else ''} {first_few(list(commits), MOST_COMMITS)}" if commits else ""
    return f"done {when}{named}"


def describe_changes(group: Sequence[Reason]) -> str:
    """`schedule.steps: 180 -> 60`; of a key with several changes the first, and how many more there are."""
    texts = []
    for key in list(group[0].changes)[:MOST_KEYS]:
        pairs = [item.changes[key] for item in group]
        changes = list(dict.fromkeys(f"{value_text(was)} -> {value_text(now)}" for was, now in pairs))
        texts.append(f"{key}: {first_few(changes, 1)}")
    more = len(group[0].changes) - MOST_KEYS
    return "; ".join(texts) + (f"; and {more} more keys" if more > 0 else "")
