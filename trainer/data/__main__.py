"""`python -m trainer.data check --data cityscapes --root PATH [--out sheet.png]`: check a data set before training.

Exit codes: 0 no problem, 1 broken files (all are listed), 2 wrong usage.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from orchestrator.machine.streams import prepare_streams
from trainer.config import DataConfig
from trainer.data import DATASETS, open_source
from trainer.data.check import examine_split, report_lines, write_sheet
from trainer.errors import DataError

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    prepare_streams()
    given = parser().parse_args(arguments)
    try:
        source = open_source(DataConfig(name=given.data, root=given.root))
    except DataError as error:
        print(error, file=sys.stderr)
        return 2
    reports = [examine_split(source, split, samples=given.samples) for split in source.splits]
    print("\n".join(report_lines(source, reports)))
    broken = any(report.broken for report in reports)
    if given.out is not None:
        try:
            write_sheet(source, reports, given.out)
        except DataError as error:
            print(error, file=sys.stderr)
            return 1 if broken else 2
        print(f"\nwrote {given.out}")
    return 1 if broken else 0


def parser() -> argparse.ArgumentParser:
    """The options of the command."""
    top = argparse.ArgumentParser(prog="python -m trainer.data", description="Tools for data sets.")
    check = top.add_subparsers(required=True, metavar="COMMAND").add_parser(
        "check", help="count pairs and classes, find broken files, draw a sheet", description="Check a data set."
    )
    check.add_argument("--data", required=True, choices=sorted(DATASETS), help="name of the data set")
    check.add_argument("--root", help="folder of the data set; not needed for `synthetic`")
    check.add_argument("--out", type=Path, help="write a sheet of images and labels to this PNG file")
    check.add_argument("--samples", type=sample_count, default=3, help="rows of the sheet per split (default: 3)")
    return top


def sample_count(text: str) -> int:
    """A whole number above 0."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError("must be a whole number above 0")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
