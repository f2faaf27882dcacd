"""`python -m reports SPEC.yaml`: the tables of a sweep; `python -m reports trace`: how a cell was computed.

Exit codes: 0 every planned run has a result; 1 some failed or are missing (listed); 2 wrong usage or specification.
"""

from __future__ import annotations

from orchestrator.interrupts import exit_at_signals

if __name__ == "__main__":
    exit_at_signals()  # first, because the imports below take a second

import argparse
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from rich.console import Console

from orchestrator.commands.command_line import DONE, UNFINISHED, Parser, guarded
from orchestrator.commands.sweep_choice import add_choice, chosen_name, chosen_styles
from orchestrator.commands.written_files import where_written
from orchestrator.errors import StoreError, StyleError, shortened
from orchestrator.machine.text_table import print_parts
from orchestrator.plugins.table_style import TableStyle
from orchestrator.store.archive.members import names_archive
from orchestrator.store.archive.reading import opened
from orchestrator.store.run_directory import RunDirectory
from orchestrator.store.sweep_record import SweepRecord
from orchestrator.tracking.terminal import draws
from orchestrator.tracking.uri import tracking_uri_of
from reports.figures.drawing import PAPER_FONTS
from reports.paper import write_paper
from reports.render.markdown import render_markdown
from reports.render.terminal import TerminalTable
from reports.sources.archive import load_archive
from reports.sources.loaded import LoadedSweep, as_planned
from reports.sources.run_directory import load_sweep
from reports.tables.combined_table import combine_tables
from reports.tables.table import Table
from reports.trace import trace
from reports.write import FORMATS, make_table, write_reports

__all__ = ["main"]

CHOICE = ("recipe", "data", "set", "seeds", "name")
"""Options that say which sweep of a search space is meant."""


def main(argv: Sequence[str] | None = None) -> int:
    """Write the reports, print the table; returns the exit code."""
    given = list(sys.argv[1:] if argv is None else argv)
    if given[:1] == ["trace"]:
        arguments = parse_trace(given[1:])
        return guarded(lambda: print_trace(arguments))
    arguments = parse(given)
    return guarded(lambda: report(arguments))


def report(arguments: argparse.Namespace) -> int:
    """Load, build, write and print the tables; several sweeps and papers also get a table of all."""
    if arguments.plan is not None and len(arguments.spec) > 1:
        raise StoreError(f"--plan {arguments.plan}: a number of one sweep's plans; name one SPEC.yaml")
    spaces = [spec for spec in arguments.spec if not names_archive(spec)]
    styles = chosen_styles(spaces, arguments, arguments.plugins)
    known = (*FORMATS, *styles)
    for name in arguments.style or ():
        if name not in known:
            text = f"choose {', '.join(known)}, or give its plugin by --with"
            raise StoreError(f"--style {shortened(name)}: no such style; {text}")
    with ExitStack() as archives:
        return write_all([load(spec, arguments, archives) for spec in arguments.spec], arguments, styles)


def write_all(loaded: Sequence[LoadedSweep], arguments: argparse.Namespace, styles: Mapping[str, TableStyle]) -> int:
    """Build, write and print the tables of loaded sweeps; `styles` are those of plugins."""
    tables, mistakes = [], list[str]()
    for sweep in loaded:
        results = sweep.results
        folder = arguments.out / results.sweep.name
        if arguments.plan is not None:
            folder /= f"plan_{arguments.plan}"
        files = sweep.directory if arguments.source == "store" else None
        tables.append(make_table(results, directory=files))
        for name in () if arguments.style else results.sweep.table.styles:
            if name not in (*FORMATS, *styles):
                text = "is of a plugin that is not named any more; add it to `plugins`, or give it by --with"
                sys.stderr.write(f"{results.sweep.name}: the table style {name} {text}\n")
        show(tables[-1])
        if arguments.paper is None:
            try:
                paths = write_reports(
                    results,
                    folder,
                    arguments.style or (),
                    plugins=styles,
                    directory=files,
                    tracked=runs_of(results.sweep, arguments),
                    table=tables[-1],
                )
            except StyleError as error:  # the tables of the other styles and sweeps are written
                paths = error.written
                mistakes.append(str(error))
            show_place(paths)
    if len(tables) > 1:
        show(combine_tables(tables))
    if arguments.paper is not None:
        sys.stdout.writelines(f"wrote {path}\n" for path in write_paper(loaded, arguments.paper, arguments.font))
    if mistakes:
        raise StyleError(mistakes, {})
    return DONE if all(table.complete for table in tables) else UNFINISHED


def show(table: Table) -> None:
    """Print a table: in a terminal as one, for anything else in Markdown."""
    if draws(console()):
        console().print(TerminalTable(table))
        console().print()
    else:
        sys.stdout.write(render_markdown(table) + "\n")


def show_place(paths: Mapping[str, Path]) -> None:
    """Say where the files of a sweep are, if there are any."""
    if paths and draws(console()):
        console().print(where_written(paths, brief=True), soft_wrap=True)
    elif paths:
        sys.stdout.write(f"{where_written(paths, brief=False).plain}\n")


def console() -> Console:
    """Standard output, as it is at the moment."""
    return Console(file=sys.stdout, highlight=False)


def print_trace(arguments: argparse.Namespace) -> int:
    """Print how one cell was computed."""
    with ExitStack() as archives:
        results = load(arguments.spec, arguments, archives).results
    tracked = runs_of(results.sweep, arguments)
    print_parts(trace(results, arguments.row, arguments.metric, tracked, every=arguments.all))
    return DONE


def load(spec: Path, arguments: argparse.Namespace, archives: ExitStack) -> LoadedSweep:
    """The results of the sweep of a search space, from the source that the command line names, or those of an archive.

    `archives` closes it.
    """
    if names_archive(spec):
        require_no_choice(spec, arguments)
        return load_archive(archives.enter_context(opened(spec)), arguments.plan)
    directory = RunDirectory(arguments.run_dir)
    name, exact = chosen_name(spec, arguments)
    if arguments.source == "mlflow":
        if arguments.plan is not None:
            raise StoreError(f"--plan {arguments.plan}: plans are kept in the run directory only; use --from store")
        from reports.sources.mlflow import load_from_mlflow

        results = load_from_mlflow(tracking_uri_of(arguments.tracking_uri), name, exact=exact)
        return LoadedSweep(results=results, directory=directory)
    results = load_sweep(directory, name, exact=exact, plan=arguments.plan)
    return LoadedSweep(results=results, directory=as_planned(directory, results.sweep.name, arguments.plan))


def require_no_choice(archive: Path, arguments: argparse.Namespace) -> None:
    """Raise StoreError for an option that says which sweep is meant, or where it is: an archive holds one."""
    given = [name for name in CHOICE if getattr(arguments, name)]
    given += ["from"] if arguments.source != "store" else []
    if given:
        raise StoreError(f"--{given[0]}: {archive} holds one sweep, with all its results; leave this option out")


def runs_of(sweep: SweepRecord, arguments: argparse.Namespace) -> dict[str, tuple[str, str]]:
    """Ids and URLs of the MLflow runs, if the command line names MLflow; importing it takes seconds."""
    if arguments.source != "mlflow" and arguments.tracking_uri is None:
        return {}
    from reports.sources.mlflow import tracked_runs

    return tracked_runs(tracking_uri_of(arguments.tracking_uri), sweep)


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """The command line as typed attributes: spec, recipe, style, out, paper, run_dir."""
    parser = Parser(prog="python -m reports", description="Tables of sweeps, from their records.")
    parser.add_argument(
        "spec", type=Path, nargs="+", metavar="SPEC.yaml|FILE.zip", help="search space files, or archives"
    )
    parser.add_argument(
        "--style",
        action="append",
        metavar="NAME",
        help=f"style to write, repeatable: {', '.join(FORMATS)}, or one of a plugin; default: all",
    )
    parser.add_argument(
        "--with",
        dest="plugins",
        action="append",
        default=[],
        metavar="PLUGIN",
        help="a file or module with table styles, besides those that SPEC.yaml names; repeatable",
    )
    parser.add_argument("--out", type=Path, default=Path("reports/out"), help="folder of the reports (%(default)s)")
    parser.add_argument("--paper", type=Path, metavar="FOLDER", help="write LaTeX tables, figures and main.tex there")
    parser.add_argument(
        "--font", choices=PAPER_FONTS, default=PAPER_FONTS[0], help="of the figures of --paper (%(default)s)"
    )
    add_source(parser)
    return parser.parse_args(argv)


def parse_trace(argv: Sequence[str]) -> argparse.Namespace:
    """The command line of `trace`: spec, row, metric, recipe, run_dir."""
    parser = Parser(prog="python -m reports trace", description="How a cell of a table was computed.")
    parser.add_argument("spec", type=Path, metavar="SPEC.yaml|FILE.zip", help="the search space file, or an archive")
    parser.add_argument("row", help="label of the row")
    parser.add_argument("metric", help="header of the column, for example mIoU, or name of any metric")
    parser.add_argument("--all", action="store_true", help="show every seed, of however many")
    add_source(parser)
    return parser.parse_args(argv)


def add_source(parser: Parser) -> None:
    """Options for where the records are."""
    add_choice(parser)
    parser.add_argument("--run-dir", type=Path, default=Path("runs"), help="run directory (%(default)s)")
    parser.add_argument(
        "--plan",
        type=int,
        metavar="N",
        help="an earlier plan, with the table of then; `python -m orchestrator status SPEC.yaml --plans` lists them",
    )
    parser.add_argument(
        "--from",
        dest="source",
        choices=("store", "mlflow"),
        default="store",
        help="run directory or MLflow (%(default)s)",
    )
    parser.add_argument(
        "--tracking-uri", metavar="URI", help="MLflow to read or to link runs of (default: sqlite:///mlflow.db)"
    )


if __name__ == "__main__":
    sys.exit(main())
