"""Shared by all commands: exit codes, and one-line messages instead of tracebacks for what users can cause."""

from __future__ import annotations

import argparse
import os
import sys
import textwrap
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, NoReturn

from orchestrator.errors import SweepError
from orchestrator.interrupts import INTERRUPTED, interruptible
from orchestrator.machine.streams import prepare_streams
from orchestrator.redaction import redacted
from orchestrator.store.disk_errors import describe_disk_error

__all__ = ["DONE", "INTERRUPTED", "UNFINISHED", "WRONG", "Parser", "guarded"]

DONE, UNFINISHED, WRONG = 0, 1, 2
"""Exit codes: every planned trial is done; some failed or are missing, or the end of the sweep did; wrong usage or
specification. After a signal: `INTERRUPTED`."""


WHOLE_WORDS: Mapping[str, Any] = {
    "break_long_words": False,
    "break_on_hyphens": False,
    "replace_whitespace": False,
    "subsequent_indent": "  ",
}


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
        self.exit(WRONG, f"{self.prog}: {redacted(message)} (--help shows the usage)\n")


def guarded(command: Callable[[], int], interrupted: str = "interrupted; run the same command again") -> int:
    """The exit code of `command`; an error that a user can cause becomes one line on stderr and an exit code.

    Notes of an error follow it, a line each. A signal ends the command with the line `interrupted`.
    """
    try:
        with interruptible(limited=True):
            code = command()
            sys.stdout.flush()
    except SweepError as error:
        say("\n".join([str(error), *getattr(error, "__notes__", ())]))
        return WRONG
    except KeyboardInterrupt as interrupt:
        say("\n".join([*getattr(interrupt, "__notes__", ()), interrupted]))
        return INTERRUPTED
    except BrokenPipeError:  # `| head` has ended: discard the rest, also when Python flushes at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return UNFINISHED
    except OSError as error:  # a full disk, an unreadable file: the message names it
        say(describe_disk_error(error))
        return WRONG
    except UnicodeEncodeError as error:  # a file name, or an argument that is to be written
        say(f"{error}; the locale lacks a character: set LC_ALL=C.UTF-8, or PYTHONUTF8=1")
        return WRONG
    except Exception:  # a defect; its message may hold a secret
        say(traceback.format_exc())
        return UNFINISHED
    return code


def say(text: str) -> None:
    """Write lines without secrets to stderr, which may be a terminal that was closed; on one, words stay whole."""
    with suppress(OSError):
        lines = redacted(text).split("\n")
        if sys.stderr.isatty():
            width = os.get_terminal_size(sys.stderr.fileno()).columns
            lines = [piece for line in lines for piece in textwrap.wrap(line, width or 80, **WHOLE_WORDS) or [""]]
        sys.stderr.write("".join(f"{line}\n" for line in lines))
        sys.stderr.flush()
