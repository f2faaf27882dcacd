"""What all our commands share: exit codes, one-line mistakes, and an end without a traceback."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from typing import NoReturn

from orchestrator.errors import SweepError

__all__ = ["DONE", "INTERRUPTED", "UNFINISHED", "WRONG", "Parser", "guarded"]

DONE, UNFINISHED, WRONG, INTERRUPTED = 0, 1, 2, 130
"""Exit codes: every planned trial is done; some failed or are missing; wrong usage or specification; Ctrl-C."""


class Parser(argparse.ArgumentParser):
    """Says what is wrong with the arguments in one line."""

    def error(self, message: str) -> NoReturn:
        """Print `message` and exit with code 2."""
        self.exit(WRONG, f"{self.prog}: {message} (--help shows the usage)\n")


def guarded(command: Callable[[], int]) -> int:
    """The exit code of `command`; what a user can cause ends it with one line on stderr instead of a traceback."""
    try:
        code = command()
        sys.stdout.flush()
    except SweepError as error:
        sys.stderr.write(f"{error}\n")
        return WRONG
    except KeyboardInterrupt:
        sys.stderr.write("interrupted; everything so far is kept, the same command goes on from here\n")
        return INTERRUPTED
    except BrokenPipeError:  # `| head`: nobody reads on, and nobody is to be told at exit either
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return UNFINISHED
    except OSError as error:  # a full disk, a file that may not be read: the message names it
        sys.stderr.write(f"{error}\n")
        return WRONG
    return code
