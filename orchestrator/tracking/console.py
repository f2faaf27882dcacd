"""ConsoleTracker: shows a sweep in the terminal, as a live table or, without a terminal, as plain lines."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from orchestrator.planning.cost_forecast import duration
from orchestrator.running.task import Task
from orchestrator.store.records import AttemptRecord, Point, State, SweepRecord
from orchestrator.tracking.progress import RunningTrial, SweepProgress

__all__ = ["ConsoleTracker"]


class ConsoleTracker:
    """Shows counts, the time left, and the latest loss and main metric of each running trial."""

    def __init__(self, console: Console, todo: Mapping[str, float], rows: int = 0) -> None:
        """`todo` maps the ids of the trials to run to their cost; a search draws trials until there are `rows` rows."""
        self.console = console
        self.todo = todo
        self.rows = rows
        self.progress: SweepProgress
        self.live: Live | None = None

    def begin(self, sweep: SweepRecord, outcomes: Mapping[str, AttemptRecord]) -> None:
        """Print what is to run and start the live table."""
        to_draw = max(0, self.rows - len(sweep.rows))
        self.progress = SweepProgress(sweep, outcomes, self.todo, to_draw=to_draw)
        reused = self.progress.done
        title = f"{sweep.name}: {self.progress.total} trials, {reused} done already, {len(self.todo) + to_draw} to run"
        self.console.print(Text(title, style="bold"))
        for record in outcomes.values():
            if record.state is State.DAMAGED and record.error is not None:
                label = sweep.label_of(record.trial_id)
                again = "; it runs again" if record.trial_id in self.todo else ""
                self.say(f"damaged: {label} [{record.trial_id}]: {record.error.message}{again}", style="yellow")
        if self.console.is_terminal and (self.todo or to_draw):
            self.live = Live(get_renderable=self.view, console=self.console, refresh_per_second=2, transient=True)
            self.live.start()

    def planned(self, sweep: SweepRecord) -> None:
        """The plan has grown."""
        if hasattr(self, "progress"):
            self.progress.sweep = sweep

    def started(self, task: Task) -> None:
        """A trial starts."""
        self.progress.started(task)

    def reported(self, task: Task, point: Point) -> None:
        """A trial has a new point; plain output gets a line per evaluation."""
        self.progress.reported(task, point)
        watched = self.progress.sweep.watched_metric
        if self.live is None and watched.name in point.metrics:
            trial = self.progress.running[task.trial_id]
            self.say(f"  {trial.label}: step {trial.place}, {watched.words} {point.metrics[watched.name]:.4f}")

    def ended(self, task: Task, record: AttemptRecord) -> None:
        """Print one permanent line."""
        trial = self.progress.ended(task, record)
        progress = self.progress
        place = f"[{progress.done + len(progress.failures)}/{progress.total}]"
        seconds = record.ended_at - record.started_at
        if record.state is State.DONE:
            metric = progress.sweep.main_metric
            value = record.metrics.get(metric.name)
            figure = "" if value is None else f", {metric.words} {value:.4f}"
            self.say(f"{place} {trial.label}: done in {seconds:.0f} s{figure}; {self.outlook()}")
        else:
            reason = f" ({record.error.summary})" if record.error else ""
            style = "yellow" if record.state in (State.STOPPED, State.CANCELLED) else "red"
            self.say(f"{place} {trial.label}: {record.state.words} after {seconds:.0f} s{reason}", style=style)

    def finish(self, outcomes: Mapping[str, AttemptRecord], artifacts: Mapping[str, Path], completed: bool) -> None:
        """Remove the live table."""
        self.stop_live()

    def show_table(self, text: str) -> None:
        """Print the final table in place of the live one, before the figures are drawn."""
        self.stop_live()
        self.console.print(Text(text), soft_wrap=True)

    def stop_live(self) -> None:
        """Remove the live table, if there is one."""
        if self.live is not None:
            self.live.stop()
            self.live = None

    def say(self, line: str, style: str = "") -> None:
        """Print one line, never wrapped and never read as markup: a row label may look like some."""
        self.console.print(Text(line, style=style), soft_wrap=True)

    def outlook(self) -> str:
        """`2 running, 0 failed, about 3 min left`."""
        eta = self.progress.eta_seconds
        left = "estimating" if eta is None else f"about {duration(eta)} left"
        return f"{len(self.progress.running)} running, {len(self.progress.failures)} failed, {left}"

    def view(self) -> Group:
        """The live table."""
        progress = self.progress
        head = Text.assemble(
            (f"{progress.done}", "bold green"),
            f" of {progress.total} done · {self.outlook()} · {duration(progress.elapsed_seconds)} elapsed",
        )
        table = Table(box=None, pad_edge=False, header_style="dim")
        watched = progress.sweep.watched_metric
        for title in ("running", "", "step", "loss", watched.words):
            table.add_column(title, justify="left" if title == "running" else "right")
        for trial in list(progress.running.values()):  # the driver's thread changes them meanwhile
            table.add_row(*running_row(trial, watched.name))
        return Group(head, table)


def running_row(trial: RunningTrial, watched: str) -> tuple[Text | ProgressBar, ...]:
    """Table cells of one running trial."""
    loss, value = trial.metrics.get("train/loss"), trial.metrics.get(watched)
    return (
        Text(trial.label),
        ProgressBar(total=trial.steps, completed=trial.step, width=24),
        Text(trial.place),
        Text("" if loss is None else f"{loss:.3f}"),
        Text("" if value is None else f"{value:.4f}", style="bold"),
    )
