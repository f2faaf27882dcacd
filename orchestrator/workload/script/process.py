"""Runs a script as a child process: its lines arrive as it prints them, and nothing of it is left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from threading import Lock, Thread
from typing import IO

from orchestrator.workload.script import guard

__all__ = ["LOG", "ScriptError", "ScriptLostError", "run_script"]

LOG = "script.log"
"""In the folder of a trial: everything that its attempts have printed."""

STOP_SECONDS = 10.0
"""From SIGTERM to SIGKILL when a trial is stopped."""

KEPT_LINES = 30
"""Last lines of standard error in the record of a failed attempt."""

GUARD = (sys.executable, "-I", "-S", guard.__file__)


class ScriptError(RuntimeError):
    """A script that failed; its notes are the last lines of its standard error."""


class ScriptLostError(ScriptError):
    """A script that somebody else has ended by a signal: nothing is known against the trial, so it is retried."""


def run_script(
    command: Sequence[str],
    *,
    folder: Path,
    environment: Mapping[str, str],
    log: Path,
    on_line: Callable[[str], None],
) -> None:
    """Run `command` in `folder`; `on_line` gets each line of its standard output. What that raises ends the script.

    Everything printed is appended to `log`. The script and all processes that it has started end with this call, and
    with this process. Raises ScriptError.
    """
    errors: deque[str] = deque(maxlen=KEPT_LINES)
    lock = Lock()
    with (
        log.open("a", encoding="utf-8") as sink,
        subprocess.Popen(  # noqa: S603 - the user's own command
            [*GUARD, *command],
            cwd=folder,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,
        ) as process,
    ):

        def write(line: str) -> None:
            with lock:
                sink.write(line if line.endswith("\n") else line + "\n")
                sink.flush()

        def read_errors(stream: IO[str]) -> None:
            for line in stream:
                errors.append(line.rstrip())
                write(line)

        stdout, stderr = process.stdout, process.stderr
        if stdout is None or stderr is None:  # for the types: both are pipes
            raise ScriptError("no pipes")
        threads = (
            Thread(target=end_group, args=(process.pid,), daemon=True),
            Thread(target=read_errors, args=(stderr,), daemon=True),
        )
        for thread in threads:
            thread.start()
        try:
            for line in stdout:
                write(line)
                on_line(line)
        except BaseException:
            stop(process)
            raise
        finally:
            for thread in threads:
                thread.join()
            process.wait()
    if process.returncode:
        raise failure(command, process.returncode, errors)


def end_group(pid: int) -> None:
    """When the script has ended: end what it has left running, which would keep the pipes open."""
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    kill(pid, signal.SIGKILL)


def stop(process: subprocess.Popen[str]) -> None:
    """End a running script: it may write a checkpoint first."""
    kill(process.pid, signal.SIGTERM)
    if process.stdout is not None:
        Thread(target=process.stdout.read, daemon=True).start()  # it must not block on a full pipe
    waiting = Thread(target=os.waitid, args=(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT), daemon=True)
    waiting.start()
    waiting.join(STOP_SECONDS)
    kill(process.pid, signal.SIGKILL)


def kill(group: int, number: int) -> None:
    """Send a signal to a process group, which may have ended."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def failure(command: Sequence[str], code: int, errors: Sequence[str]) -> ScriptError:
    """What a script's exit code means; `RuntimeError` and the text of CUDA say whether memory was short."""
    program = next((Path(word).name for word in command if Path(word).suffix), Path(command[0]).name)
    number = code - 128 if code > 128 else -code
    if number in (signal.SIGKILL, signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        name = signal.Signals(number).name
        hint = "; the system ends processes so when its memory is full" if number == signal.SIGKILL else ""
        error: ScriptError = ScriptLostError(f"{program} was ended by {name}{hint}")
    else:
        last = next((line.strip() for line in reversed(errors) if line.strip()), "it printed no error")
        error = ScriptError(f"{program} ended with exit code {code}: {last}")
    for line in errors:
        error.add_note(line)
    return error
