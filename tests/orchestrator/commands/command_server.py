"""Runs commands in copies of a process that has imported them: `python command_server.py`, told by `CommandServer`.

Importing them takes seconds, a copy takes milliseconds. Each line of standard input is a command as JSON; the answers
are the id of its process, and its exit code.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

__all__ = ["Command", "CommandServer"]

PROJECT = Path(__file__).resolve().parents[3]
IMPORTED = (
    "mlflow",
    "orchestrator.__main__",
    "orchestrator.api",
    "orchestrator.commands.clean",
    "orchestrator.commands.show_status",
    "orchestrator.commands.sync",
    "orchestrator.commands.ui",
    "orchestrator.commands.verify",
    "orchestrator.commands.why",
    "orchestrator.doctor.examine",
    "orchestrator.planning.naming",
    "orchestrator.tracking.mlflow_store",
    "reports.__main__",
    "reports.figures.choose",
    "s3fs",
    "torch",
)


class Command:
    """A command that runs, in a session of its own."""

    def __init__(self, server: CommandServer, pid: int, output: Path) -> None:
        self.server = server
        self.pid = pid
        self.output = output
        self.code: int | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_raised: object) -> None:
        if self.code is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
            self.wait()

    def wait(self) -> int:
        """Its exit code, at its end."""
        self.code = int(self.server.answer())
        return self.code

    def errors(self) -> str:
        """What it has written to standard error."""
        return self.output.read_text()


class CommandServer:
    """The process with the imports; it runs one command at a time."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, __file__],
            env=os.environ | {"PYTHONPATH": str(PROJECT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def start(
        self, arguments: Sequence[str], folder: Path, environment: Mapping[str, str], blocked: str = ""
    ) -> Command:
        """Run `python -m <arguments>` in `folder`.

        `blocked` is a function (`module:name`) at whose first call the command makes the file `<folder>/blocked` and
        waits for ever.
        """
        told = {"arguments": list(arguments), "folder": str(folder), "environment": dict(environment)}
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(told | {"blocked": blocked}) + "\n")
        self.process.stdin.flush()
        return Command(self, int(self.answer()), folder / "errors.txt")

    def answer(self) -> str:
        """The next line of the server."""
        assert self.process.stdout is not None
        return self.process.stdout.readline()

    def close(self) -> None:
        """End the server; its commands have ended."""
        self.process.communicate()


def serve() -> int | str | None:
    """Run what standard input says; in each copy, returns the exit code of its command."""
    for name in IMPORTED:
        importlib.import_module(name)
    gc.freeze()  # or each copy of this process copies all memory that its garbage collector looks through
    for line in sys.stdin:
        told = json.loads(line)
        pid = os.fork()
        if pid == 0:
            return run(told)
        say(pid)
        say(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    return 0


def run(told: Mapping[str, Any]) -> int | str | None:
    """Run one command, as a new process would."""
    from orchestrator.interrupts import ENDING, exit_at_signals

    os.setsid()
    os.chdir(told["folder"])
    os.environ.update(told["environment"])
    tempfile.tempdir = None
    for number, path in enumerate((os.devnull, "output.txt", "errors.txt")):
        os.dup2(os.open(path, os.O_RDWR | os.O_CREAT), number)
    for number in ENDING:
        signal.signal(number, signal.SIG_DFL)
    exit_at_signals()
    if told["blocked"]:
        module, _, path = told["blocked"].partition(":")
        owner: Any = importlib.import_module(module)
        *names, last = path.split(".")
        for name in names:
            owner = getattr(owner, name)
        setattr(owner, last, wait_for_ever)
    module, *arguments = told["arguments"]
    code: int = importlib.import_module(f"{module}.__main__").main(arguments)
    return code


def say(number: int) -> None:
    """Answer with a number."""
    sys.stdout.write(f"{number}\n")
    sys.stdout.flush()


def wait_for_ever(*_given: Any, **_named: Any) -> None:
    """Say that this function was called, and never return."""
    Path("blocked").touch()
    while True:
        time.sleep(60)


if __name__ == "__main__":
    sys.exit(serve())
