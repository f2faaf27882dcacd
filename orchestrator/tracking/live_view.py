"""The live view of a sweep: a line per running trial, the means of the rows, and the time left, for a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.progress_bar import ProgressBar
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from orchestrator.planning.cost_forecast import duration
from orchestrator.tracking.progress import RunningTrial, SweepProgress
from orchestrator.tracking.row_means import RowMean
from orchestrator.tracking.short_label import short_label
from orchestrator.tracking.waiting_line import waiting_text
from orchestrator.workload.metric import titled

__all__ = ["LiveView", "outlook"]

LOSS, LOSS_TITLE = "train/loss", "loss"
BEST = "best so far"
LONGEST_REST = "10-12 min"
GAP = 2
"""Cells between two columns."""
ENOUGH_FOR_LABEL, WIDEST_LABEL = 22, 48
"""Cells of the column of labels; with less than the first, the loss and the bar are left out."""
NARROWEST_BAR, WIDEST_BAR = 8, 24
DRAWN_SECONDS = 0.4
"""How long a view is kept; it is shown twice a second."""
LINES_AROUND = 11
"""Lines of the view that show neither a trial nor a row: head, titles, what is left out, and empty ones."""
FEWEST_LINES = 4
"""Lines for trials and rows in the lowest terminal."""


class LiveView:
    """Shows the progress as it is when it is rendered, in the width and the height of the terminal."""

    def __init__(self, progress: SweepProgress) -> None:
        self.progress = progress
        self.drawn_at = float("-inf")
        self.drawn: list[Segment] = []

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Lines no longer than the terminal is wide, and fewer than it is high.

        Each line that is printed above has the view drawn again, so it is taken from memory then.
        """
        now = self.progress.clock()
        if now - self.drawn_at >= DRAWN_SECONDS:
            self.drawn_at, self.drawn = now, list(console.render(Group(*self.draw(console, options)), options))
        yield from self.drawn

    def draw(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        """The view of this moment."""
        progress, width = self.progress, options.max_width
        running, rows = list(progress.running.values()), progress.means.rows()
        yield Text("")
        yield head(progress, width)
        if progress.waits_for:
            yield waiting_text(progress.waits_for, progress.waiting_seconds)
        lines = max(console.size.height - LINES_AROUND, FEWEST_LINES)
        most_running = max(lines - len(rows), lines // 2)
        if running:
            yield Text("")
            yield running_table(progress, running[:most_running], width)
            yield from more(len(running) - most_running)
        most_rows = lines - min(len(running), most_running)
        if len(rows) > most_rows:
            rows = tuple(progress.means.best_first()[:most_rows])
        if rows:  # a search begins without
            yield Text("")
            yield row_table(progress, rows, width)
        yield from more(len(progress.means.rows()) - most_rows)


def more(count: int) -> list[Text]:
    """The line that says how many are not shown; none where all are."""
    return [Text(f"and {count} more", style="dim")] if count > 0 else []


def head(progress: SweepProgress, width: int) -> Text:
    """`ablation_memory: 4 of 15 done, 2 running, 6-8 min left, 2 min elapsed`; too long, it wraps between these."""
    name, done = f"{progress.sweep.name}: ", str(progress.done)
    rest = [f"of {progress.total} done", *outlook(progress), f"{duration(progress.elapsed_seconds)} elapsed"]
    text = Text.assemble((name, "bold"), (done, "bold green"), f" {rest[0]}")
    length = text.cell_len
    for part in rest[1:]:
        fits = length + len(part) + len(", ") + len(",") <= width
        text.append(", " if fits else ",\n")
        text.append(part)
        length = len(part) + (length + len(", ") if fits else 0)
    return text


def outlook(progress: SweepProgress) -> list[str]:
    """`2 running`, `1 failed` and `6-8 min left`, without what is zero or unknown."""
    left = progress.time_left
    parts = (
        f"{len(progress.running)} running" if progress.running else "",
        f"{len(progress.failures)} failed" if progress.failures else "",
        f"{len(progress.stopped)} stopped early" if progress.stopped else "",
        "" if left is None or left.high <= 0 else f"{left.words} left",
    )
    return [part for part in parts if part]


# -- the running trials


@dataclass(frozen=True, slots=True)
class Figures:
    """A column of figures of the running trials."""

    title: str
    texts: Sequence[str]
    widest: str = ""
    """A text as long as others will be, so that the columns stay where they are."""
    style: str = ""

    @property
    def width(self) -> int:
        """Cells of its longest text."""
        return max(map(cell_len, [self.title, self.widest, *self.texts]))


def running_table(progress: SweepProgress, running: Sequence[RunningTrial], width: int) -> Table:
    """A line per trial: label, bar, step, loss, watched metric and time left."""
    columns = figures_of(progress, running)
    if room_beside(columns, width) < ENOUGH_FOR_LABEL:
        columns = [column for column in columns if column.title != LOSS_TITLE]
    room = room_beside(columns, width)
    longest = min(max(cell_len(text) for text in ("running", *(trial.label for trial in running))), WIDEST_LABEL)
    bar = min(max(room - GAP - longest, NARROWEST_BAR), WIDEST_BAR)
    bars = [bar] if room - GAP - bar >= min(longest, ENOUGH_FOR_LABEL) else []
    label = max(min(longest, room - sum(cells + GAP for cells in bars)), 1)
    table = grid()
    table.add_column("running", width=label)
    for cells in bars:
        table.add_column("", width=cells)
    for column in columns:
        table.add_column(column.title, width=column.width, justify="right", style=column.style)
    for place, trial in enumerate(running):
        drawn = [ProgressBar(total=trial.steps, completed=trial.step, width=cells) for cells in bars]
        texts = [Text(column.texts[place]) for column in columns]
        table.add_row(Text(short_label(trial.label, label)), *drawn, *texts)
    return table


def figures_of(progress: SweepProgress, running: Sequence[RunningTrial]) -> list[Figures]:
    """The columns of figures."""
    watched = progress.sweep.watched_metric

    def texts(name: str, digits: Callable[[float], str]) -> list[str]:
        values = [trial.metrics.get(name) for trial in running]
        return ["" if value is None else digits(value) for value in values]

    rests = [progress.left.rest(trial.trial_id) if trial.has_reported else None for trial in running]
    places = [trial.place if trial.has_reported else "starting" for trial in running]
    columns = [Figures("step", places, widest="starting")]
    if LOSS in progress.reported_metrics:
        columns.append(Figures(LOSS_TITLE, texts(LOSS, "{:.3f}".format), widest="10.000"))
    if watched.name in progress.reported_metrics:
        title = f"{watched.words} {watched.unit}".rstrip()
        columns.append(Figures(title, texts(watched.name, watched.digits), style="bold"))
    return [*columns, Figures("left", ["" if rest is None else rest.short for rest in rests], widest=LONGEST_REST)]


def room_beside(columns: Sequence[Figures], width: int) -> int:
    """Cells that the columns leave for the others."""
    return width - sum(column.width + GAP for column in columns)


# -- the rows


def row_table(progress: SweepProgress, rows: Sequence[RowMean], width: int) -> Table:
    """A line per row: seeds that have ended of those planned, mean ± standard deviation, and which is best so far."""
    metric = progress.means.metric
    means = [row.text(metric) for row in rows]
    whole = max(cell_len(text.partition(" ")[0]) for text in means)
    means = [" " * (whole - cell_len(text.partition(" ")[0])) + text for text in means]
    title = titled(metric.title or metric.name, metric.unit)
    cells = max(map(cell_len, [title, *means]))
    seeds = max(len("seeds"), *(len(row.seeds) for row in rows))
    room = max(width - cells - seeds - len(BEST) - 3 * GAP, 1)
    label = min(max(cell_len(text) for text in ("row", *(row.title for row in rows))), room)
    table = grid()
    table.add_column("row", width=label)
    table.add_column("seeds", width=seeds, justify="right")
    table.add_column(title, width=cells)
    table.add_column("", width=len(BEST), style="green")
    for row, text in zip(rows, means, strict=True):
        mean = Text(text, style="bold green" if row.is_best else "")
        table.add_row(Text(short_label(row.title, label)), row.seeds, mean, BEST if row.is_best else "")
    return table


def grid() -> Table:
    """A table without lines, whose columns have the widths that they are given."""
    return Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0), header_style="dim")
