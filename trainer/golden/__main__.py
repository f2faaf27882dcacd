"""`python -m trainer.golden REV`: shows whether the present code of the trainer gives the figures of revision REV.

Exit codes: 0 equal (and listed), 1 a figure differs, 2 wrong usage.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from orchestrator.machine.own_folder import temporary_folder
from orchestrator.machine.streams import prepare_streams
from trainer.code_digest import PACKAGE, code_digest, present_code, source_digests
from trainer.config import RESULT_VERSION
from trainer.equal_code import EQUAL_CODE, EQUAL_RESULT_VERSION
from trainer.errors import TrainerError
from trainer.golden.equal_list import merged, write_list
from trainer.golden.revision import checkout

__all__ = ["main"]

LIST = PACKAGE / "equal_code.py"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    prepare_streams()
    given = parser().parse_args(arguments)
    try:
        return start_list() if given.new_version else prove_equal(given.revision)
    except TrainerError as error:
        print(error, file=sys.stderr)
        return 2


def parser() -> argparse.ArgumentParser:
    """The options of the command."""
    top = argparse.ArgumentParser(prog="python -m trainer.golden", description=__doc__)
    choice = top.add_mutually_exclusive_group(required=True)
    choice.add_argument("revision", nargs="?", metavar="REV", help="git revision whose code gave the known figures")
    choice.add_argument(
        "--new-version", action="store_true", help="start the list of a new RESULT_VERSION with the present code"
    )
    return top


def start_list() -> int:
    """Start the list of this RESULT_VERSION. Raises TrainerError when it has begun."""
    if EQUAL_RESULT_VERSION == RESULT_VERSION:
        raise TrainerError(
            f"{LIST}: the list of RESULT_VERSION {RESULT_VERSION} has begun; compare with REV, or raise RESULT_VERSION"
        )
    write_list(LIST, RESULT_VERSION, [[present_code()]])
    print(f"{LIST}: the list of RESULT_VERSION {RESULT_VERSION} begins with {present_code()}")
    return 0


def prove_equal(revision: str) -> int:
    """Compare the present code with that of `revision`, and list both as equal if they are. Raises TrainerError."""
    if EQUAL_RESULT_VERSION != RESULT_VERSION:
        raise TrainerError(
            f"{LIST}: the list is of RESULT_VERSION {EQUAL_RESULT_VERSION}, not {RESULT_VERSION}; start it with "
            "--new-version"
        )
    with temporary_folder("golden") as folder:
        package = checkout(revision, PACKAGE.parent, folder / "earlier")
        earlier, present = code_digest(source_digests(package)), present_code()
        if earlier != present and not differs(package, folder):
            write_list(LIST, RESULT_VERSION, merged(EQUAL_CODE, earlier, present))
            print(f"{LIST}: {present} is listed as equal to {earlier} ({revision})")
            return 0
    if earlier == present:
        print(f"{revision} has the same code, {present}")
    return int(earlier != present)


def differs(package: Path, folder: Path) -> bool:
    """Run all trials with `package` and with the present code; print and return whether a figure differs."""
    try:
        from trainer.golden.side_by_side import compare, figures_of_both, with_repeats
        from trainer.golden.trials import reader_trials, tiny_trials
    except ModuleNotFoundError as error:  # the suites of tests, which have the look-alikes of data sets, need pytest
        raise TrainerError(f"{error}; install the extra `dev`") from error
    trials = with_repeats({**tiny_trials(), **reader_trials(folder / "data")})
    found = compare(*figures_of_both(trials, (package, PACKAGE), folder))
    for name, difference in found.different.items():
        print(f"differs: {name}: {difference}")
    for name, reason in found.new.items():
        print(f"new: {name}: the earlier code cannot run it ({reason})")
    print(f"{len(trials)} trials: {len(found.equal)} equal, {len(found.different)} differ, {len(found.new)} new")
    return bool(found.different)


if __name__ == "__main__":
    sys.exit(main())
