"""Command: one run of a sweep's command line below a shell, as a user starts it, which may die before it."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from tests.chaos.processes import catches, children, has_ended

__all__ = ["Command"]

START_SECONDS = 60.0


def heed_signals() -> None:
    """Let the processes that are started from now on heed all signals; a shell's background jobs ignore some."""
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)


class Command:
    """A shell with a session of its own, and the driver that it has started and waits for."""

    def __init__(self, line: Sequence[str], folder: Path, environment: Mapping[str, str], output: Path) -> None:
        heed_signals()
        self.output = output
        self.offset = output.stat().st_size if output.exists() else 0
        with output.open("ab") as file:
            self.shell = subprocess.Popen(
                ["/bin/sh", "-c", '"$@"; exit $?', "sh", *line],
                cwd=folder,
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                start_new_session=True,
            )
        deadline = time.monotonic() + START_SECONDS
        while not (found := children(self.shell.pid)):
            assert time.monotonic() < deadline, "the shell starts nothing"
            time.sleep(0.005)
        self.driver = found[0]
        self.handle = os.pidfd_open(self.driver)

    @property
    def ended(self) -> bool:
        """Whether the driver has ended."""
        return has_ended(self.handle)

    @property
    def exit_code(self) -> int | None:
        """The driver's exit code as a shell shows it, 128 + n after signal n; None if the shell died first."""
        if self.shell.poll() is None and not self.ended:
            return None
        code = self.shell.wait()
        code = 128 - code if code < 0 else code
        return None if code == 128 + signal.SIGKILL else code

    def send(self, number: int) -> None:
        """Send a signal to the driver."""
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(self.handle, number)

    def ask(self, number: int) -> None:
        """Send a signal to the driver once it has a handler, which Python has not as long as it starts itself."""
        deadline = time.monotonic() + START_SECONDS
        while not (catches(self.driver, number) or self.ended) and time.monotonic() < deadline:
            time.sleep(0.005)
        self.send(number)

    def wait(self, seconds: float) -> bool:
        """Wait for the driver's end; returns whether it has ended."""
        deadline = time.monotonic() + seconds
        while not self.ended and time.monotonic() < deadline:
            time.sleep(0.05)
        return self.ended

    def close(self) -> None:
        """End what is left of the shell and the driver."""
        self.send(signal.SIGKILL)
        with suppress(ProcessLookupError):
            self.shell.kill()
        self.shell.wait()
        self.wait(10)
        os.close(self.handle)

    def said(self) -> str:
        """What this command has written so far."""
        with self.output.open("rb") as file:
            file.seek(self.offset)
            return file.read().decode(errors="replace")
