"""Writes the report files of a sweep, each atomically."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from orchestrator.errors import StoreError, StyleError, shortened
from orchestrator.machine.atomic_file import replace_file
from orchestrator.plugins.error import PluginError
from orchestrator.plugins.table_style import FILES, TableStyle
from orchestrator.store.disk_errors import disk_remedy
from orchestrator.store.run_directory import RunDirectory
from orchestrator.store.sweep_results import SweepResults
from reports.render import STYLES
from reports.render.html import render_html
from reports.render.parquet import render_parquet
from reports.render.provenance import Provenance, Tracked, gather_provenance
from reports.sources.published import read_published
from reports.tables.class_table import build_class_tables
from reports.tables.data_set_table import build_data_set_table
from reports.tables.importance import importance
from reports.tables.table import Table, build_table

__all__ = ["FORMATS", "make_table", "write", "write_reports"]

PARQUET = "parquet"
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
    known = {**STYLES, **plugins}
    styles = wanted_styles(tuple(styles), results.sweep.table.styles, (*FORMATS, *plugins))
    if table is None:
        table = make_table(results, None if directory is not None else {}, directory)
    classes = build_class_tables(results)
    figures: dict[str, dict[str, Path]] = {}
    if directory is not None:
        from reports.figures.choose import write_figures

        figures = write_figures(results, directory, out / FIGURE_FOLDER, importance=table.importance, dark=True)
    provenance = gather_provenance(results, directory, figures=figures, tracked=tracked)
    drawn = {style: known[style] for style in styles if style != PARQUET}
    mistakes: dict[str, str] = {}
    paths = write_table(table, out, drawn, "table", mistakes, provenance, tuple(classes.values()))
    drawn = {name: style for name, style in drawn.items() if style.of_classes and name not in mistakes}
    for stem, of_classes in classes.items():
        written = write_table(of_classes, out, drawn, stem, mistakes)
        paths |= {f"{stem}.{style}": path for style, path in written.items()}
    if PARQUET in styles:
        paths[PARQUET] = write(out / FILES[PARQUET], render_parquet(results))
    paths |= {FIGURE_FOLDER: out / FIGURE_FOLDER} if figures else {}
    if mistakes:
        raise StyleError(tuple(mistakes.values()), paths)
    return paths


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
    provenance: Provenance | None = None,
    others: tuple[Table, ...] = (),
) -> dict[str, Path]:
    """Write `table` in each of `styles`; the page also shows `provenance` and the `others`.

    What a style of a plugin raises is added to `mistakes`, one line by name of the style.
    """
    paths: dict[str, Path] = {}
    for name, style in styles.items():
        file = style.file.replace("table", stem, 1)
        try:
            text = render_html(table, provenance, others) if name == "html" else style.draw(table)
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
