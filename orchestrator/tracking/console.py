"""ConsoleTracker: shows a sweep in the terminal, as a live view or, without a terminal, as plain lines."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from rich.console import Console, RenderableType
from rich.live import Live
from rich.text import Text

from orchestrator.planning.cost_forecast import ExpectedTrial
from orchestrator.running.task import Task
from orchestrator.store.attempt_record import AttemptRecord, Point, State
from orchestrator.store.sweep_record import SweepRecord
from orchestrator.tracking.live_view import LiveView, outlook
from orchestrator.tracking.progress import SweepProgress
from orchestrator.tracking.terminal import draws

__all__ = ["ConsoleTracker"]

MOST_RUNS = 1000
"""Plain output has a line for each row that is complete, in sweeps of at most this many runs."""


class ConsoleTracker:
    """Shows what runs, the means so far and the time left; what has ended stays as a line each."""

    def __init__(self, console: Console, todo: Mapping[str, ExpectedTrial], rows: int = 0) -> None:
        """`todo`: the trials to run by id; a search draws trials until there are `rows` rows."""
        self.console = console
        self.todo = todo
        self.rows = rows
        self.progress: SweepProgress
        self.live: Live | None = None

    def begin(self, sweep: SweepRecord, outcomes: Mapping[str, AttemptRecord]) -> None:
        """Print what is to run and start the live view."""
        self.progress = SweepProgress(sweep, outcomes, self.todo, rows=self.rows)
        reused, to_run = self.progress.done, len(self.todo) + self.progress.to_draw
        title = f"{sweep.name}: {self.progress.total} trials, {reused} done already, {to_run} to run"
        self.say(title, style="bold")
        for record in outcomes.values():
            if record.state is State.DAMAGED and record.error is not None:
                label = sweep.label_of(record.trial_id)
                again = "; it runs again" if record.trial_id in self.todo else ""
                self.say(f"damaged: {label} [{record.trial_id}]: {record.error.message}{again}", style="yellow")
        if draws(self.console) and to_run:
            view = LiveView(self.progress)
            self.live = Live(view, console=self.console, refresh_per_second=2, transient=True)
            self.live.start()

    def planned(self, sweep: SweepRecord) -> None:
        """The plan has grown."""
        if hasattr(self, "progress"):
            self.progress.planned(sweep)

    def preparing(self, what: str) -> None:
        """Something is being started before trials can report; plain output gets a line."""
        self.progress.preparing(what)
        if what and self.live is None:
            self.say(what)

    def started(self, task: Task) -> None:
        """A trial starts."""
        self.progress.started(task)

    def reported(self, task: Task, point: Point) -> None:
        """A trial has a new point; plain output gets a line per evaluation."""
        self.progress.reported(task, point)
        watched = self.progress.sweep.watched_metric
        if self.live is None and watched.name in point.metrics:
            trial = self.progress.running[task.trial_id]
            figure = watched.with_unit(watched.digits(point.metrics[watched.name]))
            self.say(f"  {trial.label}: step {trial.place}, {watched.words} {figure}")

    def ended(self, task: Task, record: AttemptRecord) -> None:
        """Print one permanent line, and in plain output one for a row that is complete."""
        trial = self.progress.ended(task, record)
        progress, metric = self.progress, self.progress.means.metric
        place = f"[{progress.ended_trials}/{progress.total}]"
        seconds = record.ended_at - record.started_at
        if record.state is not State.DONE:
            reason = f" ({record.error.summary})" if record.error else ""
            style = "yellow" if record.state in (State.STOPPED, State.CANCELLED) else "red"
            self.say(f"{place} {trial.label}: {record.state.words} after {seconds:.0f} s{reason}", style=style)
            return
        value = record.metrics.get(metric.name)
        figure = "" if value is None else f", {metric.words} {metric.with_unit(metric.digits(value))}"
        ahead = ", ".join(outlook(progress)) if self.live is None else ""
        self.say("; ".join(filter(None, [f"{place} {trial.label}: done in {seconds:.0f} s{figure}", ahead])))
        if self.live is None and len(progress.sweep.cells) <= MOST_RUNS:
            for row in progress.means.completed_by(record.trial_id):
                best = ", best so far" if row.is_best else ""
                mean = metric.with_unit(row.text(metric))
                self.say(f"  {row.title}: {metric.words} {mean} over {row.expected} seeds{best}")

    def finish(self, outcomes: Mapping[str, AttemptRecord], artifacts: Mapping[str, Path], completed: bool) -> None:
        """Remove the live view."""
        self.stop_live()

    def show_table(self, table: RenderableType) -> None:
        """Print the final table in place of the live view, before the figures are drawn."""
        self.stop_live()
        if draws(self.console):
            self.console.print()
        self.console.print(table, soft_wrap=not draws(self.console))

    def stop_live(self) -> None:
        """Remove the live view, if there is one."""
        if self.live is not None:
            self.live.stop()
            self.live = None

    def say(self, line: str, style: str = "") -> None:
        """Print a line, never read as markup: a row label may look like some. A terminal wraps it between words."""
        self.console.print(Text(line, style=style), soft_wrap=not draws(self.console))
