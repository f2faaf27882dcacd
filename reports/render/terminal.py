"""A table for a terminal, which fits its width.

What is too wide gives way in this order: the columns of costs are left out; the row headers, then those of the columns,
wrap between words; the table is printed in parts, one below the other, each with the row headers.
"""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from reports.render.terminal_grid import Part, TerminalGrid
from reports.tables.cell_text import Mark
from reports.tables.columns import COST_PREFIX
from reports.tables.table import Table, sentence

__all__ = ["TerminalTable"]

MOST_MISSING_LISTED = 10
"""Runs without a result that are listed."""
EXPLANATIONS = {
    Mark.ALIKE: "≈ not distinguishable from {reference}",
    Mark.SIGNIFICANT: "* p ≤ 0.05",
    Mark.FEWER: "† fewer seeds than planned",
    Mark.PROVISIONAL: "‡ runs are still to come",
    Mark.MIXED: "§ other code or data",
    Mark.CHOSEN: "‖ measured where the row was chosen",
    Mark.MISSING: "– no value",
    Mark.SHARED: "¶ shares its runs with another row",
    Mark.PUBLISHED: "published: not ours",
}
"""The legend; the notes of the other styles say more."""


class TerminalTable:
    """A table that rich prints: the best in bold, the second underlined, the marks explained in a line."""

    def __init__(self, table: Table, *, lists_missing: bool = True) -> None:
        """`lists_missing`: name the runs without a result below the table."""
        self.table = table
        self.lists_missing = lists_missing

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """The lines, none longer than the terminal is wide."""
        grid = TerminalGrid(self.table.layout, rule="-" if options.ascii_only else "─")
        parts, dropped = arrange(grid, options.max_width)
        yield Text.assemble((self.table.name, "bold"), f": {lead(self.table)}")
        for part in parts:
            yield Text("")
            yield from grid.lines(part)
        yield Text("")
        yield legend(self.table)
        if dropped:
            names = ", ".join(dict.fromkeys(grid.headers[place].text for place in sorted(dropped)))
            yield Text(f"not shown in {options.max_width} columns: {names}", style="dim")
        if self.lists_missing:
            yield from missing_lines(self.table)


def arrange(grid: TerminalGrid, width: int) -> tuple[list[Part], set[int]]:
    """The parts in which the table fits into `width`, and the columns that are left out."""
    places = list(range(len(grid.headers)))
    dropped: set[int] = set()
    for metric in ("", *costs_of(grid)):
        dropped.update(place for place in places if metric and metric_at(grid, place) == metric)
        part = grid.part([place for place in places if place not in dropped])
        if part.width <= width:
            return [part], dropped
    kept = list(part.places)
    for tight in (False, True):
        part = grid.part(kept, tight=tight, width=width)
        if part.width <= width:
            return [part], dropped
    return grid.split(kept, width), dropped


def costs_of(grid: TerminalGrid) -> list[str]:
    """The metrics that are costs, the last first; none where there is nothing else."""
    metrics = list(dict.fromkeys(metric_at(grid, place) for place in range(len(grid.headers))))
    costs = [metric for metric in metrics if metric.startswith(COST_PREFIX)]
    return costs[::-1] if len(costs) < len(metrics) else []


def metric_at(grid: TerminalGrid, place: int) -> str:
    """The metric of a column, without the name of its data set; empty for a column of something else."""
    return grid.headers[place].key.rpartition(" ")[2]


def lead(table: Table) -> str:
    """The first sentence of the caption: what the table is about, without the protocol, which the page shows."""
    return (table.caption.partition(sentence(table.protocol))[0] if table.protocol else table.caption).strip()


def legend(table: Table) -> Text:
    """What ±, bold, underlined and the marks mean, in one line, which a terminal wraps."""
    used = {note.mark for note in table.notes}
    baseline = f"“{table.baseline}”" if table.baseline else "the baseline"
    seeds = len(table.seeds)
    figures = f"mean ± standard deviation over {seeds} seeds" if seeds > 1 else "one seed"
    parts = [Text(f"{figures}, and difference to {baseline}" if Mark.DELTA in used else figures)]
    parts += [Text("best", style="bold")] if Mark.BEST in used else []
    parts += [Text("second", style="underline")] if Mark.SECOND in used else []
    parts += [
        Text(text.format(reference="it" if Mark.DELTA in used else "the best"))
        for mark, text in EXPLANATIONS.items()
        if mark in used
    ]
    further = sum(note.mark is Mark.NONE for note in table.notes)
    parts += [Text(f"{further} more note{'s' if further > 1 else ''} in the files")] if further else []
    return Text(" · ", style="dim").join(parts)


def missing_lines(table: Table) -> Iterator[Text]:
    """The runs without a result."""
    runs = table.missing_runs
    if runs:
        yield Text(f"{table.runs_done} of {table.runs_planned} runs are done; without result:")
    for run in runs[:MOST_MISSING_LISTED]:
        yield Text(f"  {' = '.join(run.rows)}, seed {run.seed}: {run.reason} [{run.trial_id}]")
    if len(runs) > MOST_MISSING_LISTED:
        yield Text(f"  and {len(runs) - MOST_MISSING_LISTED} more")
