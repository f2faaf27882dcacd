"""Shared by all commands: exit codes, and one-line messages instead of tracebacks for what users can cause."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import NoReturn

from orchestrator.errors import SweepError
from trainer.streams import prepare_streams

__all__ = ["DONE", "INTERRUPTED", "UNFINISHED", "WRONG", "Parser", "guarded"]

DONE, UNFINISHED, WRONG, INTERRUPTED = 0, 1, 2, 130
"""Exit codes: every planned trial is done; some failed or are missing; wrong usage or specification; Ctrl-C."""


class Parser(argparse.ArgumentParser):
    """Reports wrong arguments in one line, in whatever encoding."""

    def parse_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> argparse.Namespace:
        """Make the streams ready, then parse: the help has characters that not every terminal has."""
        prepare_streams()
        return super().parse_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        """Print `message` and exit with code 2."""
        self.exit(WRONG, f"{self.prog}: {message} (--help shows the usage)\n")


def guarded(command: Callable[[], int]) -> int:
    """The exit code of `command`; an error that a user can cause becomes one line on stderr and an exit code."""
    try:
        code = command()
        sys.stdout.flush()
    except SweepError as error:
        say(str(error))
        return WRONG
    except KeyboardInterrupt:
        say("interrupted; all results so far are kept, and the same command resumes the sweep")
        return INTERRUPTED
    except BrokenPipeError:  # `| head` has ended: discard the rest, also when Python flushes at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return UNFINISHED
    except OSError as error:  # a full disk, an unreadable file: the message names it
        say(str(error))
        return WRONG
    except UnicodeEncodeError as error:  # a file name, or an argument that is to be written
        say(f"{error}; the locale lacks a character: set LC_ALL=C.UTF-8, or PYTHONUTF8=1")
        return WRONG
    return code


def say(line: str) -> None:
    """Write a line to stderr, if anybody reads it."""
    with suppress(OSError):
        sys.stderr.write(f"{line}\n")
        sys.stderr.flush()
