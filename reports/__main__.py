"""`python -m reports SPEC.yaml`: the tables of a sweep from its records.

Exit codes: 0 every planned run has its result; 1 some failed or are missing (listed); 2 wrong usage or specification.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from orchestrator.command_line import DONE, UNFINISHED, Parser, guarded
from orchestrator.records import AttemptRecord, SweepRecord
from orchestrator.spec import sweep_name
from orchestrator.tracking.address import tracking_uri_of
from reports.load import load_sweep, recorded_name
from reports.render import STYLES, render_markdown
from reports.write import make_table, write_table

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Write the reports, print the table; returns the exit code."""
    arguments = parse(argv)
    return guarded(lambda: report(arguments))


def report(arguments: argparse.Namespace) -> int:
    """Load, build, write and print the table."""
    sweep, outcomes = load(arguments)
    table = make_table(sweep, outcomes)
    paths = write_table(table, arguments.out / sweep.name, arguments.style or tuple(STYLES))
    sys.stdout.write(render_markdown(table) + "\n")
    sys.stdout.writelines(f"wrote {path}\n" for path in paths.values())
    return DONE if table.complete else UNFINISHED


def load(arguments: argparse.Namespace) -> tuple[SweepRecord, Mapping[str, AttemptRecord]]:
    """The sweep and its outcomes, from where the command line says."""
    name = sweep_name(arguments.spec, arguments.recipe)
    if arguments.source == "mlflow":
        from reports.from_mlflow import load_from_mlflow

        return load_from_mlflow(tracking_uri_of(arguments.tracking_uri), name, exact=arguments.recipe is not None)
    if arguments.recipe is None:
        name = recorded_name(arguments.run_dir, name)
    return load_sweep(arguments.run_dir, name)


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """The command line as typed attributes: spec, recipe, style, out, run_dir, source, tracking_uri."""
    parser = Parser(prog="python -m reports", description="Tables of a sweep, from its records.")
    parser.add_argument("spec", type=Path, metavar="SPEC.yaml", help="the search space file")
    parser.add_argument("--recipe", metavar="NAME|PATH", help="the recipe given to the sweep, if any was")
    parser.add_argument(
        "--style", action="append", choices=tuple(STYLES), help="format to write, repeatable; default: all"
    )
    parser.add_argument("--out", type=Path, default=Path("reports/out"), help="folder of the reports (%(default)s)")
    parser.add_argument("--run-dir", type=Path, default=Path("runs"), help="folder of the records (%(default)s)")
    parser.add_argument(
        "--from", dest="source", choices=("store", "mlflow"), default="store", help="records or MLflow (%(default)s)"
    )
    parser.add_argument("--tracking-uri", metavar="URI", help="with --from mlflow (default: sqlite:///mlflow.db)")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
