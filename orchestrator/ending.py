"""The end of a sweep: its tables first, then figures beside the end of the executor, then MLflow."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.errors import FigureError, StyleError
from orchestrator.plugins.table_style import TableStyle
from orchestrator.running.closing import Closing
from orchestrator.running.driver import Driver
from orchestrator.store.record_store import RecordStore
from orchestrator.store.sweep_results import SweepResults
from orchestrator.tracking.follower import Follower

if TYPE_CHECKING:  # what reports import takes 0.3 s, and this module is imported before the first trial starts
    from rich.console import RenderableType

    from reports.figures.process import FigureProcess
    from reports.write import Reports

__all__ = ["Ending", "ShowTable", "draw_in_advance"]

ShowTable = Callable[[Mapping[str, Path], Callable[[], "RenderableType"]], None]
"""Shows the final table: gets the files written so far by style, and what makes the table for a terminal."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Ending:
    """What has to end, and where the tables go."""

    driver: Driver
    store: RecordStore
    executors: ExitStack
    """Closes the executor."""
    figures: FigureProcess
    follower: Follower
    closing: Closing
    out: Path
    """Folder of the tables of all sweeps."""
    plugins: Mapping[str, TableStyle]

    def take_steps(self, results: SweepResults, *, completed: bool, show: ShowTable | None) -> dict[str, Path]:
        """Write the tables and end the sweep; returns what is written, by style.

        `show` is called as soon as the tables are written. What fails is a line of `closing`; the next command does it.
        """
        step, name, files = self.closing.step, results.sweep.name, dict[str, Path]()
        reports: list[Reports] = []
        step("tables", lambda: self.add_tables(files, results, reports))
        if files and show is not None:
            step("output", partial(show, files, partial(for_terminal, reports[0])))
        if files:
            step("figures", lambda: self.begin_figures(reports[0]))
        step("points", self.store.point_log.close, brief=True)
        step("cache of the records", partial(self.store.compact, name), matters=False)
        step("kept plan", partial(self.store.keep_plan, name, self.driver.outcomes))
        step("the executor", self.executors.close, brief=True)
        if files:
            step("figures", lambda: self.add_figures(files, reports[0]))
        step("end of the sweep", partial(self.driver.finish, files, completed=completed), brief=True)
        step("MLflow", self.follower.close)
        return files

    def add_tables(self, files: dict[str, Path], results: SweepResults, reports: list[Reports]) -> None:
        """Add the tables of `results` to `files`; if a style of a plugin raises, those of the others."""
        from reports.write import Reports

        made = Reports(results, self.out / results.sweep.name, plugins=self.plugins, directory=self.store)
        reports.append(made)
        try:
            files.update(made.write_tables())
        except StyleError as error:
            files.update(error.written)
            raise

    def begin_figures(self, reports: Reports) -> None:
        """Let the figures be drawn; what fails here fails again in `add_figures`, which says so."""
        with suppress(Exception):
            self.figures.begin(reports.undrawn())

    def add_figures(self, files: dict[str, Path], reports: Reports) -> None:
        """Add figures and the page to `files`; if a figure is not drawn, the page has the others."""
        mistake: FigureError | None = None
        figures: Mapping[str, Mapping[str, Path]]
        try:
            figures = reports.write_figures(self.figures.draw)
        except FigureError as error:
            mistake, figures = error, error.written
        written = reports.in_order({**files, **reports.write_page(figures)})
        files.clear()  # for the order
        files.update(written)
        if mistake is not None:
            raise mistake


def for_terminal(reports: Reports) -> RenderableType:
    """The table of a sweep; the command itself lists the runs without a result."""
    from reports.render.terminal import TerminalTable

    return TerminalTable(reports.table, lists_missing=False)


def draw_in_advance(results: SweepResults, *, out: Path, process: FigureProcess) -> None:
    """Let `process` draw the figures that the folder of a sweep lacks, while its last trials run.

    Without learning curves, because each trial that ends changes them.
    """
    from reports.figures.choose import drawings_of
    from reports.figures.kept import lacking
    from reports.write import FIGURE_FOLDER

    missing = lacking(drawings_of(results, None, dark=True), out / results.sweep.name / FIGURE_FOLDER)
    with suppress(OSError):  # the end of the sweep says that no process can be started
        process.prepare(missing)
