"""Shared by all commands: exit codes, and one-line messages instead of tracebacks for what users can cause."""

from __future__ import annotations

import argparse
import os
import sys
import traceback
from collections.abc import Callable
from typing import NoReturn

from orchestrator.errors import SweepError
from orchestrator.redaction import redacted

__all__ = ["DONE", "INTERRUPTED", "UNFINISHED", "WRONG", "Parser", "guarded"]

DONE, UNFINISHED, WRONG, INTERRUPTED = 0, 1, 2, 130
"""Exit codes: every planned trial is done; some failed or are missing; wrong usage or specification; Ctrl-C."""


class Parser(argparse.ArgumentParser):
    """Reports wrong arguments in one line."""

    def error(self, message: str) -> NoReturn:
        """Print `message` and exit with code 2."""
        self.exit(WRONG, f"{self.prog}: {redacted(message)} (--help shows the usage)\n")


def guarded(command: Callable[[], int]) -> int:
    """The exit code of `command`; an error that a user can cause becomes one line on stderr and an exit code."""
    try:
        code = command()
        sys.stdout.flush()
    except SweepError as error:
        sys.stderr.write(f"{redacted(str(error))}\n")
        return WRONG
    except KeyboardInterrupt:
        sys.stderr.write("interrupted; all results so far are kept, and the same command resumes the sweep\n")
        return INTERRUPTED
    except BrokenPipeError:  # `| head` has ended: discard the rest, also when Python flushes at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return UNFINISHED
    except OSError as error:  # a full disk, an unreadable file: the message names it
        sys.stderr.write(f"{redacted(str(error))}\n")
        return WRONG
    except Exception:  # a defect; its message may hold a secret
        sys.stderr.write(redacted(traceback.format_exc()))
        return UNFINISHED
    return code
