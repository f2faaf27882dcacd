"""How `status` shows a sweep: counts, a line per row, what runs now, failures, and the command that comes next."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from orchestrator.commands.status import COUNTED, RowStatus, SweepStatus
from orchestrator.machine.first_few import first_few, first_lines
from orchestrator.machine.text_table import Line, Part, TextTable
from orchestrator.planning.cost_forecast import duration
from orchestrator.store.attempt_record import ErrorRecord
from orchestrator.store.sweep_record import SweepRecord
from orchestrator.tracking.row_means import shown_metric
from orchestrator.workload.metric import titled

__all__ = ["NextCommands", "describe_never_run", "overview", "status_as_text"]

MOST_ROWS = 8
"""Rows that are shown without `--all`; if there are more, or something runs or has failed, `OF_MANY`."""
OF_MANY = 5
MOST_RUNNING = 2
MOST_FAILURES = 2
MOST_DAMAGED = 2
MOST_NAMES = 3
"""Sweeps that a line names."""
FRAME = re.compile(r'^  File "(?P<file>.*)", line (?P<line>\d+)', re.MULTILINE)
"""A place in a traceback."""
STYLES = {"done": "green", "running": "cyan", "failed": "red", "damaged": "red"}


@dataclass(frozen=True, kw_only=True, slots=True)
class NextCommands:
    """Command lines, quoted for a shell."""

    sweep: str
    """Runs or resumes the sweep."""
    reports: str
    """Writes its tables."""
    ui: str
    """Shows its curves."""


def describe_never_run(name: str, place: str, known: Sequence[str], command: str) -> Line:
    """One line for a sweep of which the run directory `place` has no plan; `known` are the sweeps that it has."""
    others = f" (which has {first_few(known, MOST_NAMES)})" if known else ""
    return Line(f"{name}: never run in {place}{others}; run it:", command=command)


def overview(statuses: Mapping[str, SweepStatus | None]) -> TextTable:
    """A line for each of several sweeps, by name; None for one that never ran."""
    words = shown_words(status.counts for status in statuses.values() if status is not None)
    nothing = [Line("never run", "dim"), *[Line("")] * (len(words) - 1)]
    rows: list[Sequence[str | Line]] = [
        (name, *(nothing if status is None else count_cells(status.counts, words))) for name, status in statuses.items()
    ]
    return TextTable(header=("sweep", *words), rows=rows, right=frozenset(range(1, len(words) + 1)))


def status_as_text(status: SweepStatus, commands: NextCommands, *, every: bool = False) -> list[Part]:
    """What the terminal shows; `every`: all rows, a traceback for each kind of failure, the trials without a result."""
    counts, sweep = status.counts, status.results.sweep
    always = ("done", "running", "failed", "not run")
    listed = ", ".join(f"{counts[word]} {word}" for word in COUNTED if counts[word] or word in always)
    parts: list[Part] = [Line(f"{sweep.name}: {len(sweep.trial_ids)} trials: {listed}", "bold")]
    parts += describe_rows(status, every=every)
    parts += describe_running(status, every=every)
    parts += describe_failures(status, commands.sweep, every=every)
    if damaged := status.damaged:
        lines = [f"  {sweep.label_of(trial_id)} [{trial_id}]: {reason}" for trial_id, reason in damaged.items()]
        parts += ["", "damaged, to run again:", *first_lines(lines, None if every else MOST_DAMAGED)]
    if every:
        parts += describe_unfinished(status)
    return [*parts, *describe_next(status, commands, every=every)]


def describe_rows(status: SweepStatus, *, every: bool) -> Iterator[Part]:
    """How many runs of each row are done and so on, and the mean of the sweep's metric over those that are done."""
    sweep, rows = status.results.sweep, status.rows
    if not rows:  # a search that has drawn nothing
        return
    words = tuple(word for word in shown_words(row.counts for row in rows) if word != "not run")
    metric = shown_metric(sweep)
    shown = rows
    if not every and len(rows) > most_rows(status):
        shown = tuple(sorted(rows, key=order_of(sweep))[:OF_MANY])
    header = ("row", *words, titled(metric.title or metric.name, metric.unit))
    lines: list[Sequence[str | Line]] = [
        (row.title, *count_cells(row.counts, words), row.result.text(metric)) for row in shown
    ]
    yield from ("", TextTable(header=header, rows=lines, right=frozenset(range(1, len(header)))))
    if len(shown) < len(rows):
        hidden = total(row.counts for row in rows) - total(row.counts for row in shown)
        listed = ", ".join(f"{hidden[word]} {word}" for word in COUNTED if hidden[word])
        yield f"and {len(rows) - len(shown)} more rows, with {listed}"


def most_rows(status: SweepStatus) -> int:
    """Most rows that are shown without `--all`, so that all fits into a terminal of 24 lines."""
    return OF_MANY if status.running or status.failures or status.damaged else MOST_ROWS


def order_of(sweep: SweepRecord) -> Callable[[RowStatus], tuple[bool, bool, float]]:
    """Rows of which something runs or has failed come first, then those with the best means."""
    sign = 1.0 if sweep.goal == "minimize" else -1.0

    def key(row: RowStatus) -> tuple[bool, bool, float]:
        mean = math.inf if row.result.mean is None else sign * row.result.mean
        return not row.counts["running"], not (row.counts["failed"] or row.counts["damaged"]), mean

    return key


def total(counts: Iterable[Counter[str]]) -> Counter[str]:
    """All of them together."""
    found = Counter[str]()
    for item in counts:
        found.update(item)
    return found


def shown_words(counts: Iterable[Counter[str]]) -> tuple[str, ...]:
    """`done`, and the other words of `COUNTED` that count something."""
    found = total(counts)
    return tuple(word for word in COUNTED if word == "done" or found[word])


def count_cells(counts: Counter[str], words: Sequence[str]) -> Iterator[Line]:
    """`2/3` for done, then the number for each other word, a dash for none."""
    yield Line(f"{counts['done']}/{counts.total()}", STYLES["done"] if counts["done"] == counts.total() else "")
    for word in words[1:]:
        yield Line(str(counts[word]), STYLES.get(word, "")) if counts[word] else Line("–", "dim")


def describe_running(status: SweepStatus, *, every: bool) -> Iterator[Part]:
    """What runs now: how far it is, and when it reported last."""
    metric = status.results.sweep.watched_metric
    shown = status.running if every else status.running[:MOST_RUNNING]
    if not shown:
        return
    rows = [
        (
            status.results.sweep.label_of(trial.trial_id) + (f", attempt {trial.attempt}" if trial.attempt > 1 else ""),
            f"{trial.step}/{trial.steps}" if trial.steps else str(trial.step),
            "–" if trial.watched is None else metric.digits(trial.watched),
            f"{duration(trial.silent_seconds)} ago",
        )
        for trial in shown
    ]
    title = "running now" if len(shown) == len(status.running) else f"{len(shown)} of {len(status.running)} running"
    header = (title, "step", titled(metric.words, metric.unit), "last report")
    yield from ("", TextTable(header=header, rows=rows, right=frozenset({1, 2, 3})))


def describe_failures(status: SweepStatus, command: str, *, every: bool) -> Iterator[Part]:
    """Each kind of failure: how often, where, and how to debug it; `every`: its trials and a traceback."""
    sweep = status.results.sweep
    shown = status.failures if every else status.failures[:MOST_FAILURES]
    for number, group in enumerate(shown):
        count = f"{len(group.trial_ids)} trial{'s' if len(group.trial_ids) > 1 else ''}"
        head = f"{group.state.words}, {count}"
        debug = Line("  debug it:", command=f"{command} --trial {group.trial_ids[0]} --debug")
        if every:
            signature = group.error.signature or "–"
            yield from ("", Line(f"{head}, signature {signature}:", STYLES["failed"]))
            yield from (f"  {sweep.label_of(trial_id)} [{trial_id}]" for trial_id in group.trial_ids)
            trace = group.error.traceback.rstrip() or group.error.summary
            yield from (*(Line(f"  | {line}", whole=True) for line in trace.splitlines()), debug)
        else:
            text = f"{head}: {group.error.summary}{place_of(group.error)}"
            yield from (Line(text, STYLES["failed"]),) if number else ("", Line(text, STYLES["failed"]), debug)
    if rest := status.failures[len(shown) :]:
        yield f"and {len(rest)} more kinds of failure, {sum(len(group.trial_ids) for group in rest)} trials"


def place_of(error: ErrorRecord) -> str:
    """` (trainer/step.py:88)`, the innermost place of a traceback; empty without one."""
    places = list(FRAME.finditer(error.traceback))
    return f" ({'/'.join(places[-1]['file'].split('/')[-2:])}:{places[-1]['line']})" if places else ""


def describe_unfinished(status: SweepStatus) -> Iterator[Part]:
    """The trials that were stopped, and those that were not run."""
    sweep = status.results.sweep
    if again := status.to_resume:
        yield from ("", "to run again:")
        yield from (f"  {sweep.label_of(item.trial_id)} [{item.trial_id}]: {item.state.words}" for item in again)
    if status.not_run:
        yield from ("", "not run:")
        yield from (f"  {sweep.label_of(trial_id)} [{trial_id}]" for trial_id in status.not_run)


def describe_next(status: SweepStatus, commands: NextCommands, *, every: bool) -> Iterator[Part]:
    """What to type next."""
    unfinished = len(status.results.unfinished)
    if status.running:
        yield from ("", Line("next: see the curves in MLflow while it runs:", command=commands.ui))
    elif unfinished:
        trials = "the trial" if unfinished == 1 else f"the {unfinished} trials"
        yield from ("", Line(f"next: run {trials} without a result:", command=commands.sweep))
    else:
        yield from ("", Line("next: write the table:", command=commands.reports))
    if not every and (unfinished or len(status.rows) > most_rows(status)):
        yield Line("--all shows every row, traceback and trial id", "dim")
