"""Writes the report files of a sweep, each atomically."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from types import MappingProxyType

from orchestrator.errors import StoreError, StyleError, shortened
from orchestrator.machine.atomic_file import replace_file
from orchestrator.plugins.error import PluginError
from orchestrator.plugins.table_style import FILES, TableStyle
from orchestrator.store.disk_errors import disk_remedy
from orchestrator.store.run_directory import RunDirectory
from orchestrator.store.running_sweep import RunningSweep
from orchestrator.store.sweep_results import SweepResults
from reports.figures import choose
from reports.figures.drawing import DrawFigures, Drawing
from reports.figures.kept import kept_figures, lacking, write_drawings
from reports.render import STYLES
from reports.render.html import render_html
from reports.render.parquet import render_parquet
from reports.render.provenance import Tracked, gather_provenance
from reports.render.running_curves import charts_of
from reports.sources.published import read_published
from reports.tables.class_table import build_class_tables
from reports.tables.data_set_table import build_data_set_table
from reports.tables.importance import importance
from reports.tables.table import Table, build_table

__all__ = ["FORMATS", "Reports", "make_table", "write", "write_reports"]

PARQUET, PAGE = "parquet", "html"
FORMATS = (*STYLES, PARQUET)
"""Names as on the command line."""
SUMMARY = "markdown"
"""Always written: MLflow shows it beside the sweep."""
FIGURE_FOLDER = "figures"
MOST_TRIALS = 2000
"""The importance of parameters is not computed for searches with more trials."""


def write_reports(
    results: SweepResults,
    out: Path,
    styles: Iterable[str] = (),
    *,
    plugins: Mapping[str, TableStyle] = MappingProxyType({}),
    directory: RunDirectory | None = None,
    tracked: Tracked | None = None,
    table: Table | None = None,
) -> dict[str, Path]:
    r"""Write the reports of a sweep into the folder `out`; returns the paths by style.

    `table.{md,tex,html,csv}`, `preview.tex` and `runs.parquet`; with scored classes also `classes.{md,tex,csv}`
    (`classes.markdown` and so on in the result; of several data sets `classes-<data set>`). `table.html` is one
    self-contained page, `table.tex` a fragment for `\input` and `preview.tex` a document around it. Given the run
    directory, what takes seconds is added: figures (in the folder `figures` and on the page), pictures, and the
    importance of a search's parameters. `table` is the table of the sweep if it was made before. `plugins` are styles
    besides ours; without `styles`, those are written that the sweep asks for, by default all. Raises StoreError when
    `table.published` names no source, a style is unknown or the folder cannot be written, and StyleError at the end if
    a style of a plugin raised.
    """
    reports = Reports(results, out, styles, plugins=plugins, directory=directory, tracked=tracked, table=table)
    mistake: StyleError | None = None
    try:
        paths = reports.write_tables()
    except StyleError as error:
        mistake, paths = error, error.written
    if directory is not None:
        paths |= reports.write_page(reports.write_figures())
    paths = reports.in_order(paths)
    if mistake is not None:
        raise StyleError((str(mistake),), paths)
    return paths


class Reports:
    """The report files of one sweep: tables at once, figures and the page that shows them when they are drawn."""

    def __init__(
        self,
        results: SweepResults,
        out: Path,
        styles: Iterable[str] = (),
        *,
        plugins: Mapping[str, TableStyle] = MappingProxyType({}),
        directory: RunDirectory | None = None,
        tracked: Tracked | None = None,
        table: Table | None = None,
        running: RunningSweep | None = None,
    ) -> None:
        """As in `write_reports`. Without the run directory no figures are drawn, and `write_tables` writes the page.

        With `running`, it is the page of a running sweep.
        """
        self.results, self.out, self.directory, self.tracked, self.running = results, out, directory, tracked, running
        known = {**STYLES, **plugins}
        self.wanted = wanted_styles(tuple(styles), results.sweep.table.styles, (*FORMATS, *plugins))
        self.drawn = {style: known[style] for style in self.wanted if style != PARQUET}
        self.table = make_table(results, None if directory is not None else {}, directory) if table is None else table
        self.classes = build_class_tables(results)

    def write_tables(self) -> dict[str, Path]:
        """Write all but figures and the page that shows them; returns the paths by style.

        Raises StoreError, and StyleError at the end if a style of a plugin raised.
        """
        mistakes: dict[str, str] = {}
        drawn = {name: style for name, style in self.drawn.items() if name != PAGE}
        paths = write_table(self.table, self.out, drawn, "table", mistakes)
        drawn = {name: style for name, style in drawn.items() if style.of_classes and name not in mistakes}
        for stem, of_classes in self.classes.items():
            written = write_table(of_classes, self.out, drawn, stem, mistakes)
            paths |= {f"{stem}.{style}": path for style, path in written.items()}
        if PARQUET in self.wanted:
            paths[PARQUET] = write(self.out / FILES[PARQUET], render_parquet(self.results))
        if self.directory is None:
            paths |= self.write_page(self.kept_figures)
        if mistakes:
            raise StyleError(tuple(mistakes.values()), self.in_order(paths))
        return self.in_order(paths)

    @cached_property
    def drawings(self) -> list[Drawing]:
        """The figures that suit the sweep; none without the run directory."""
        if self.directory is None:
            return []
        return choose.drawings_of(self.results, self.directory, importance=self.table.importance, dark=True)

    @property
    def kept_figures(self) -> Mapping[str, Mapping[str, Path]]:
        """What the page of a running sweep shows: the figures of the last command."""
        return kept_figures(self.out / FIGURE_FOLDER) if self.running is not None else {}

    def undrawn(self) -> list[Drawing]:
        """The figures that `write_figures` has to draw: the others are in the folder as they would be drawn."""
        return lacking(self.drawings, self.out / FIGURE_FOLDER)

    def write_figures(self, draw: DrawFigures | None = None) -> dict[str, dict[str, Path]]:
        """Write the figures, which `draw` draws, by default in this process; returns name -> format -> path.

        Raises StoreError, and FigureError for a figure that `draw` does not give.
        """
        return write_drawings(self.drawings, self.out / FIGURE_FOLDER, draw)

    def write_page(self, figures: Mapping[str, Mapping[str, Path]]) -> dict[str, Path]:
        """Write the page with `figures`; returns the paths of both. Raises StoreError."""
        paths = {FIGURE_FOLDER: self.out / FIGURE_FOLDER} if figures else {}
        if PAGE in self.drawn:
            provenance = gather_provenance(self.results, self.directory, figures=figures, tracked=self.tracked)
            charts = charts_of(self.results, self.running) if self.running is not None else ()
            others = tuple(self.classes.values())
            text = render_html(self.table, provenance, others, running=self.running, charts=charts)
            paths[PAGE] = write(self.out / FILES[PAGE], text)
        return paths

    def in_order(self, paths: Mapping[str, Path]) -> dict[str, Path]:
        """`paths` in the order of the styles: tables, those of classes, runs, figures."""
        of_classes = [f"{stem}.{style}" for stem in self.classes for style in self.drawn]
        order = [*self.drawn, *of_classes, PARQUET, FIGURE_FOLDER]
        return {name: paths[name] for name in order if name in paths}


def wanted_styles(given: Sequence[str], of_sweep: Sequence[str], known: Sequence[str]) -> tuple[str, ...]:
    """The styles to write: those `given`, else the summary and those of the sweep, else all.

    One of the sweep that is not known is left out: its plugin is not at hand. Raises StoreError for one that is given.
    """
    asked = [style for style in of_sweep if style in known]
    wanted = given or ((SUMMARY, *asked) if of_sweep else known)
    unknown = next((style for style in wanted if style not in known), None)
    if unknown is not None:
        text = f"choose {', '.join(known)}, or name its plugin in `plugins` or by --with"
        raise StoreError(f"no style {shortened(unknown)!r}; {text}")
    return tuple(dict.fromkeys(wanted))


def make_table(
    results: SweepResults, shares: Mapping[str, float] | None = None, directory: RunDirectory | None = None
) -> Table:
    """The table of a sweep with the published rows it asks for; `shares` is the importance of a search's parameters.

    By default the importance is computed, for up to 2,000 trials. Raises StoreError as `write_reports`.
    """
    sweep = results.sweep
    if shares is None:
        shares = importance(results) if sweep.is_search and len(results.outcomes) <= MOST_TRIALS else {}
    published = read_published(sweep.table.published) if sweep.table.published else None
    if len(sweep.data_sets) > 1:
        return build_data_set_table(results, published, directory)
    return build_table(results, published, shares, directory)


def write_table(
    table: Table,
    out: Path,
    styles: Mapping[str, TableStyle],
    stem: str,
    mistakes: dict[str, str],
) -> dict[str, Path]:
    """Write `table` in each of `styles`.

    What a style of a plugin raises is added to `mistakes`, one line by name of the style.
    """
    paths: dict[str, Path] = {}
    for name, style in styles.items():
        file = style.file.replace("table", stem, 1)
        try:
            text = style.draw(table)
        except PluginError as error:
            mistakes[name] = f"{error}; the table style {name} wrote no {file}"
        else:
            paths[name] = write(out / file, text)
    return paths


def write(path: Path, content: str | bytes) -> Path:
    """Write a file atomically, text in UTF-8; returns its path. Raises StoreError when it cannot be written."""
    try:
        replace_file(path, content.encode("utf-8") if isinstance(content, str) else content, durable=False)
    except OSError as error:
        remedy = disk_remedy(error, path) or "use another --out"
        raise StoreError(f"{path}: cannot be written ({error.strerror or error}); {remedy}") from error
    return path
