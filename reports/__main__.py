"""`python -m reports SPEC.yaml`: the tables of a sweep from its records.

Exit codes: 0 every planned run has its result; 1 some failed or are missing (listed); 2 wrong usage or specification.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from orchestrator.command_line import DONE, UNFINISHED, Parser, guarded
from orchestrator.spec import sweep_name
from reports.load import load_sweep, recorded_name
from reports.render import render_markdown
from reports.write import FORMATS, make_table, write_reports

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Write the reports, print the table; returns the exit code."""
    arguments = parse(argv)
    return guarded(lambda: report(arguments))


def report(arguments: argparse.Namespace) -> int:
    """Load, build, write and print the table."""
    name = sweep_name(arguments.spec, arguments.recipe)
    if arguments.recipe is None:
        name = recorded_name(arguments.run_dir, name)
    sweep, outcomes = load_sweep(arguments.run_dir, name)
    styles = arguments.style or FORMATS
    paths = write_reports(sweep, outcomes, arguments.out / name, styles, run_dir=arguments.run_dir)
    table = make_table(sweep, outcomes)
    sys.stdout.write(render_markdown(table) + "\n")
    sys.stdout.writelines(f"wrote {path}\n" for path in paths.values())
    return DONE if table.complete else UNFINISHED


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """The command line as typed attributes: spec, recipe, style, out, run_dir."""
    parser = Parser(prog="python -m reports", description="Tables of a sweep, from its records.")
    parser.add_argument("spec", type=Path, metavar="SPEC.yaml", help="the search space file")
    parser.add_argument("--recipe", metavar="NAME|PATH", help="the recipe given to the sweep, if any was")
    parser.add_argument("--style", action="append", choices=FORMATS, help="format to write, repeatable; default: all")
    parser.add_argument("--out", type=Path, default=Path("reports/out"), help="folder of the reports (%(default)s)")
    parser.add_argument("--run-dir", type=Path, default=Path("runs"), help="folder of the records (%(default)s)")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
