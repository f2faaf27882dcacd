"""`python -m reports SPEC.yaml`: the tables of a sweep from its records; `python -m reports trace`: one cell's story.

Exit codes: 0 every planned run has its result; 1 some failed or are missing (listed); 2 wrong usage or specification.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from orchestrator.commands.command_line import DONE, UNFINISHED, Parser, guarded
from orchestrator.spec.sweep_spec import sweep_name
from orchestrator.store.records import SweepRecord
from orchestrator.tracking.uri import tracking_uri_of
from reports.joined import join_tables
from reports.load import load_sweep, recorded_name
from reports.paper import Loaded, write_paper
from reports.render import render_markdown
from reports.trace import trace
from reports.write import FORMATS, make_table, write_reports

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Write the reports, print the table; returns the exit code."""
    given = list(sys.argv[1:] if argv is None else argv)
    if given[:1] == ["trace"]:
        arguments = parse_trace(given[1:])
        return guarded(lambda: tell(arguments))
    arguments = parse(given)
    return guarded(lambda: report(arguments))


def report(arguments: argparse.Namespace) -> int:
    """Load, build, write and print the tables; of several sweeps, and for a paper, also what they share."""
    loaded = [load(spec, arguments) for spec in arguments.spec]
    run_dir = arguments.run_dir if arguments.source == "store" else None
    tables = []
    for sweep, outcomes in loaded:
        folder, styles = arguments.out / sweep.name, arguments.style or FORMATS
        tables.append(make_table(sweep, outcomes))
        sys.stdout.write(render_markdown(tables[-1]) + "\n")
        if arguments.paper is None:
            tracked = runs_of(sweep, arguments)
            paths = write_reports(sweep, outcomes, folder, styles, run_dir=run_dir, tracked=tracked, table=tables[-1])
            sys.stdout.writelines(f"wrote {path}\n" for path in paths.values())
    if len(tables) > 1:
        sys.stdout.write(render_markdown(join_tables(tables)) + "\n")
    if arguments.paper is not None:
        sys.stdout.writelines(f"wrote {path}\n" for path in write_paper(loaded, arguments.paper, arguments.run_dir))
    return DONE if all(table.complete for table in tables) else UNFINISHED


def tell(arguments: argparse.Namespace) -> int:
    """Print how one cell came to be."""
    sweep, outcomes = load(arguments.spec, arguments)
    sys.stdout.write(trace(sweep, outcomes, arguments.row, arguments.metric, runs_of(sweep, arguments)))
    return DONE


def load(spec: Path, arguments: argparse.Namespace) -> Loaded:
    """The sweep of a search space and its outcomes, from where the command line says."""
    name = sweep_name(spec, arguments.recipe)
    if arguments.source == "mlflow":
        from reports.from_mlflow import load_from_mlflow

        return load_from_mlflow(tracking_uri_of(arguments.tracking_uri), name, exact=arguments.recipe is not None)
    if arguments.recipe is None:
        name = recorded_name(arguments.run_dir, name)
    return load_sweep(arguments.run_dir, name)


def runs_of(sweep: SweepRecord, arguments: argparse.Namespace) -> dict[str, tuple[str, str]]:
    """Ids and addresses of the MLflow runs, where the command line says which MLflow; importing it takes seconds."""
    if arguments.source != "mlflow" and arguments.tracking_uri is None:
        return {}
    from reports.from_mlflow import tracked_runs

    return tracked_runs(tracking_uri_of(arguments.tracking_uri), sweep)


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """The command line as typed attributes: spec, recipe, style, out, paper, run_dir."""
    parser = Parser(prog="python -m reports", description="Tables of sweeps, from their records.")
    parser.add_argument("spec", type=Path, nargs="+", metavar="SPEC.yaml", help="the search space files")
    parser.add_argument("--style", action="append", choices=FORMATS, help="format to write, repeatable; default: all")
    parser.add_argument("--out", type=Path, default=Path("reports/out"), help="folder of the reports (%(default)s)")
    parser.add_argument("--paper", type=Path, metavar="FOLDER", help="write LaTeX tables, figures and a main.tex there")
    add_source(parser)
    return parser.parse_args(argv)


def parse_trace(argv: Sequence[str]) -> argparse.Namespace:
    """The command line of `trace`: spec, row, metric, recipe, run_dir."""
    parser = Parser(prog="python -m reports trace", description="How a cell of a table came to be.")
    parser.add_argument("spec", type=Path, metavar="SPEC.yaml", help="the search space file")
    parser.add_argument("row", help="label of the row")
    parser.add_argument("metric", help="name of the metric, for example final/miou")
    add_source(parser)
    return parser.parse_args(argv)


def add_source(parser: Parser) -> None:
    """Options that say where the records are."""
    parser.add_argument("--recipe", metavar="NAME|PATH", help="the recipe given to the sweep, if any was")
    parser.add_argument("--run-dir", type=Path, default=Path("runs"), help="folder of the records (%(default)s)")
    parser.add_argument(
        "--from", dest="source", choices=("store", "mlflow"), default="store", help="records or MLflow (%(default)s)"
    )
    parser.add_argument(
        "--tracking-uri", metavar="URI", help="MLflow, also to link its runs (default: sqlite:///mlflow.db)"
    )


if __name__ == "__main__":
    sys.exit(main())
