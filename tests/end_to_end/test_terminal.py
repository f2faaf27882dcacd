"""Ctrl-C in a terminal, which sends SIGINT to all processes in the foreground, once and twice. They take 20 seconds."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import termios
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

from orchestrator.interrupts import SAME_SECONDS, STOPPING
from tests.end_to_end import mishaps
from tests.end_to_end.conftest import attempts, environment
from tests.end_to_end.test_signals_on_ray import LIMIT_SECONDS, nothing_is_left, until

pytestmark = pytest.mark.usefixtures("database")

CTRL_C = b"\x03"
LINE = (sys.executable, "-m", "orchestrator.sweep", "tiny.yaml", "--seeds", "1", "--set", "schedule.steps=4000")
LAST_LINE = "interrupted; all results so far are kept, and the same command resumes the sweep\r\n"


class Terminal:
    """A terminal in which a command is in the foreground, and all that it shows."""

    def __init__(self, line: list[str], folder: Path, environment: dict[str, str]) -> None:
        self.keyboard, theirs = pty.openpty()
        self.settings = termios.tcgetattr(self.keyboard)
        self.shown = bytearray()
        self.process = subprocess.Popen(
            ["setsid", "--ctty", *line],  # which becomes the command, and so the leader of the session
            cwd=folder,
            env=environment | {"TERM": "xterm"},
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            preexec_fn=hear_ctrl_c,
        )
        os.close(theirs)
        self.reader = threading.Thread(target=self.read)
        self.reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.kill()
        self.process.wait()
        self.reader.join()
        os.close(self.keyboard)

    def read(self) -> None:
        """Read what is shown until no process has the terminal open any more."""
        try:
            while content := os.read(self.keyboard, 4096):
                self.shown += content
        except OSError:
            return

    def press(self, key: bytes) -> None:
        """Press a key."""
        os.write(self.keyboard, key)

    def text(self) -> str:
        """All that was shown."""
        return self.shown.decode()


def hear_ctrl_c() -> None:
    """In the child: SIGINT has its default action, also where the tests run in the background of a shell."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def start(folder: Path, *options: str) -> Terminal:
    """A sweep in a terminal; a trial with the temperature of `mishaps.HANGS` never reports."""
    return Terminal([*LINE, *options], folder, environment() | mishaps.install(folder / "hook"))


def check_end(terminal: Terminal) -> None:
    """The command ends with its exit code and its line, without a traceback, and leaves the terminal as it was."""
    assert terminal.process.wait(LIMIT_SECONDS) == 130
    terminal.reader.join(LIMIT_SECONDS)  # the last process that has it open has ended
    text = terminal.text()
    assert text.endswith(LAST_LINE), text[-2000:]
    assert "Traceback" not in text
    assert "Exception" not in text
    assert termios.tcgetattr(terminal.keyboard) == terminal.settings, "echo, line editing, signals"
    assert text.count("\x1b[?25l") == text.count("\x1b[?25h") > 0, "the cursor is hidden and shown again"
    assert "\x1b[?1049h" not in text, "no other screen"


@pytest.mark.slow  # whole sweeps
def test_ctrl_c_ends_a_sweep_on_ray_gently(folder: Path) -> None:
    with start(folder) as terminal:
        until(lambda: list(folder.glob("runs/trials/*/points.jsonl")), terminal.process)
        assert in_foreground(terminal.process.pid) == [terminal.process.pid], "Ray and the mirror are not"
        terminal.press(CTRL_C)
        check_end(terminal)
        assert terminal.text().count(STOPPING) == 1
    assert list(folder.glob("reports/out/*/table.md"))
    states = [record["state"] for records in attempts(folder).values() for record in records]
    assert states
    assert set(states) == {"cancelled"}
    assert nothing_is_left(folder)


@pytest.mark.slow
def test_a_second_ctrl_c_ends_a_sweep_whose_trial_hangs(folder: Path) -> None:
    with start(folder, "--executor", "serial", "--set", f"contrast.temperature={mishaps.HANGS}") as terminal:
        until(lambda: list(folder.glob("runs/trials/*/points.jsonl")), terminal.process)
        terminal.press(CTRL_C)
        until(lambda: STOPPING in terminal.text(), terminal.process)
        time.sleep(2 * SAME_SECONDS)
        terminal.press(CTRL_C)
        check_end(terminal)
    assert nothing_is_left(folder)


def in_foreground(leader: int) -> list[int]:
    """Ids of the processes in the process group of `leader`."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if os.getpgid(int(entry.name)) == leader:
                found.append(int(entry.name))
        except ProcessLookupError:
            continue
    return found
