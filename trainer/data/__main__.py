"""`python -m trainer.data init PATH` proposes a description of own data; `check PATH` checks a data set.

Exit codes: 0 no problem, 1 a run is refused (all reasons are listed), 2 wrong usage.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from orchestrator.machine.streams import prepare_streams
from orchestrator.machine.text_table import print_parts
from trainer.config import DataConfig
from trainer.data import DATASETS, open_source
from trainer.data.check import examine, report_lines, write_sheet
from trainer.data.proposal.propose import propose
from trainer.errors import DataError

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    prepare_streams()
    given = parser().parse_args(arguments)
    run: Callable[[argparse.Namespace], int] = given.run
    return run(given)


def init(given: argparse.Namespace) -> int:
    """Propose a description."""
    try:
        if not given.path.is_dir():
            raise DataError(f"{given.path}: no such folder; name the folder of the data set")
        text = propose(given.path)
        if given.out is None:
            print(text, end="")
            return 0
        with given.out.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        print(f"{given.out}: exists already and is never overwritten; choose another file", file=sys.stderr)
        return 2
    except (DataError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    print(
        f"wrote {given.out}; read it, correct the guesses, then\n  python -m trainer.data check {given.path} ", end=""
    )
    print(f"--classes {given.out}")
    return 0


def check(given: argparse.Namespace) -> int:
    """Check a data set."""
    if given.path is not None and given.root is not None:
        parser().error("the folder is given twice; remove --root")
    if given.data is None and given.path is None and given.root is None:
        parser().error("name the folder of the data set, or --data synthetic")
    name: Any = given.data or "folder"
    try:
        source = open_source(DataConfig(name=name, root=given.path or given.root, classes=given.classes))
    except DataError as error:
        print(error, file=sys.stderr)
        return 2
    report = examine(source, samples=given.samples, absent_classes=given.absent_classes == "allow")
    print_parts(report_lines(report, every=given.all))
    if given.out is not None:
        try:
            write_sheet(report, given.out)
        except DataError as error:
            print(error, file=sys.stderr)
            return 2 if report.intact else 1
        print(f"\nwrote {given.out}")
    return 0 if report.intact else 1


def parser() -> argparse.ArgumentParser:
    """The options of the command."""
    top = argparse.ArgumentParser(prog="python -m trainer.data", description="Tools for data sets.")
    commands = top.add_subparsers(required=True, metavar="COMMAND")
    start = commands.add_parser(
        "init", help="propose a description of own data", description="Propose a description of own data."
    )
    start.add_argument("path", type=Path, metavar="PATH", help="folder of the data set; nothing in it is changed")
    start.add_argument("--out", type=Path, help="write to this file, which must not exist (default: print)")
    start.set_defaults(run=init)
    check_parser = commands.add_parser(
        "check", help="count pairs and classes, find broken files, draw a sheet", description="Check a data set."
    )
    check_parser.set_defaults(run=check)
    check_parser.add_argument("path", nargs="?", metavar="PATH", help="folder of the data set")
    check_parser.add_argument("--data", choices=sorted(DATASETS), help="name of the data set (default: folder)")
    check_parser.add_argument("--classes", help="description of a `folder` (default: classes.yaml in PATH)")
    check_parser.add_argument(
        "--absent-classes",
        choices=("refuse", "allow"),
        default="refuse",
        help="classes that no training label shows: as data.absent_classes (default: refuse)",
    )
    check_parser.add_argument("--root", help="the same as PATH")
    check_parser.add_argument("--all", action="store_true", help="list every class, note and broken file")
    check_parser.add_argument("--out", type=Path, help="write a sheet of images and labels to this PNG file")
    check_parser.add_argument(
        "--samples", type=sample_count, default=3, help="rows of the sheet per split (default: 3)"
    )
    return top


def sample_count(text: str) -> int:
    """A whole number above 0."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError("must be a whole number above 0")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
