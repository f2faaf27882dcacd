"""Writes the report files of a sweep, each whole or not at all."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from orchestrator.errors import StoreError
from orchestrator.store.records import SEARCHES, AttemptRecord, SweepRecord
from reports.files import replace_bytes, replace_text
from reports.render import STYLES, render_html, render_parquet
from reports.render.provenance import Provenance, gather_provenance
from reports.sources.published import read_published
from reports.tables.class_table import build_class_table
from reports.tables.importance import importance
from reports.tables.table import Table, build_table

__all__ = ["FORMATS", "make_table", "write_reports", "write_table"]

PARQUET = "parquet"
FORMATS = (*STYLES, PARQUET)
"""Names as on the command line."""
FIGURE_FOLDER = "figures"
MOST_TRIALS = 2000
"""Of searches with more, no importance is computed."""

Tracked = Mapping[str, tuple[str, str]]
"""By trial id the id and the address of its MLflow run."""


def write_reports(
    sweep: SweepRecord,
    outcomes: Mapping[str, AttemptRecord],
    out: Path,
    styles: Iterable[str] = FORMATS,
    *,
    run_dir: Path | str | None = None,
    tracked: Tracked | None = None,
    table: Table | None = None,
) -> dict[str, Path]:
    r"""Write the reports of a sweep into the folder `out`; returns the paths by style.

    `table.{md,tex,html,csv}`, `preview.tex` and `runs.parquet`; where classes were scored also `classes.{md,tex,csv}`
    (`classes.markdown` and so on in the result). `table.html` is one self-contained page, `table.tex` a fragment for
    `\input` and `preview.tex` a document around it. With `run_dir` there is also what takes seconds: figures
    (the folder `figures`), which the page shows with pictures, and the importance of a search's parameters.
    `table` is that of the sweep where it is made already. Raises
    StoreError when `table.published` names no source or the folder cannot be written, ValueError for an unknown style.
    """
    styles = tuple(styles)
    check_styles(styles)
    if table is None:
        table = make_table(sweep, outcomes, None if run_dir is not None else {})
    classes = build_class_table(sweep, outcomes)
    figures: dict[str, dict[str, Path]] = {}
    if run_dir is not None:
        from reports.figures.choose import write_figures

        figures = write_figures(sweep, outcomes, run_dir, out / FIGURE_FOLDER, importance=table.importance, dark=True)
    provenance = gather_provenance(sweep, outcomes, run_dir, figures=figures, tracked=tracked)
    others = () if classes is None else (classes,)
    paths = write_table(
        table, out, [style for style in styles if style != PARQUET], provenance=provenance, others=others
    )
    if classes is not None:
        wanted = [style for style in styles if style in ("markdown", "latex", "csv")]
        paths |= {f"classes.{style}": path for style, path in write_table(classes, out, wanted, stem="classes").items()}
    if PARQUET in styles:
        paths[PARQUET] = out / "runs.parquet"
        write(paths[PARQUET], render_parquet(sweep, outcomes))
    return paths | ({FIGURE_FOLDER: out / FIGURE_FOLDER} if figures else {})


def make_table(
    sweep: SweepRecord, outcomes: Mapping[str, AttemptRecord], shares: Mapping[str, float] | None = None
) -> Table:
    """The table of a sweep with the published rows it asks for. Raises StoreError as `write_reports`."""
    published = read_published(sweep.table.published) if sweep.table.published else None
    return build_table(sweep, outcomes, published, shares_of(sweep, outcomes) if shares is None else shares)


def shares_of(sweep: SweepRecord, outcomes: Mapping[str, AttemptRecord]) -> dict[str, float]:
    """Importance of the parameters of a search; nothing for other methods, nor beyond 2,000 trials (slow)."""
    return importance(sweep, outcomes) if sweep.method in SEARCHES and len(outcomes) <= MOST_TRIALS else {}


def check_styles(styles: Iterable[str]) -> None:
    """Raise ValueError for a style that there is not."""
    unknown = [style for style in styles if style not in FORMATS]
    if unknown:
        raise ValueError(f"no style {unknown[0]!r}; there are: {', '.join(FORMATS)}")


def write_table(
    table: Table,
    out: Path,
    styles: Iterable[str] = tuple(STYLES),
    *,
    stem: str = "table",
    provenance: Provenance | None = None,
    others: tuple[Table, ...] = (),
) -> dict[str, Path]:
    """Render `table` in each of `styles` and write it as `stem`; the page shows `provenance` and the `others` too."""
    paths: dict[str, Path] = {}
    for style in styles:
        name, render = STYLES[style]
        paths[style] = out / name.replace("table", stem)
        text = render_html(table, provenance, others) if style == "html" else render(table)
        write(paths[style], text)
    return paths


def write(path: Path, content: str | bytes) -> None:
    """Write a file whole or not at all. Raises StoreError when it cannot be written."""
    try:
        if isinstance(content, bytes):
            replace_bytes(path, content)
        else:
            replace_text(path, content)
    except OSError as error:
        raise StoreError(f"{path}: cannot be written ({error.strerror or error})") from error
