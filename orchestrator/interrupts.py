r"""Signals that end a command: the first one gently, the second one at once, whatever the process is doing.

SIGINT (Ctrl-C), SIGTERM (`kill`, a batch system), SIGHUP (the terminal closes) and SIGQUIT (Ctrl-\) mean the same. One
that is ignored when the process starts, as SIGHUP is below `nohup`, stays ignored. Signals within half a second count
as one: `timeout` sends SIGTERM twice, and both a shell and its terminal send SIGHUP.

    imports and arguments    `exit_at_signals`: exit code 130 at once, because nothing has been started
    planning, other commands `interruptible`: the first signal raises KeyboardInterrupt
    a sweep                  `ending_gently`: the first signal calls a function, the second raises KeyboardInterrupt
"""

from __future__ import annotations

import errno
import os
import select
import signal
import termios
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from typing import Any

__all__ = [
    "ENDING",
    "INTERRUPTED",
    "STOPPING",
    "Interrupted",
    "ending_gently",
    "exit_at_signals",
    "interruptible",
    "keeping_handlers",
    "sparing_children",
]

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
"""The signals that ask a process to end and can be handled."""

INTERRUPTED = 130
"""Exit code after any of them."""

SAME_SECONDS = 0.5
"""A signal that follows the first one sooner is part of it."""

STOPPING = "stopping: trials stop at their next report; a second signal (Ctrl-C) ends the sweep at once"
"""What the first signal to a sweep says."""

AT_ONCE_SECONDS = 5.0
"""Longest time from the second signal to the end of the process, for releasing locks and ending child processes."""


class Interrupted(KeyboardInterrupt):
    """A KeyboardInterrupt after which Python still exits with the code that it is given.

    Where a plain one passes through `exec` of a text, which each dataclass and so most imports contain, CPython notes
    it, also if it is handled later, and ends the process with SIGINT at its exit (`run_eval_code_obj`).
    """


class Interrupts:
    """The signals that this process has received, and what the first one does."""

    def __init__(self) -> None:
        self.received = 0
        self.first_at = 0.0
        """On the monotonic clock."""
        self.end: Callable[[], None] | None = None
        """What the first signal calls; None: it raises KeyboardInterrupt."""

    def count(self) -> int:
        """Note a signal that has just arrived; returns how many there were, 0 for one that is part of the first."""
        now = time.monotonic()
        if self.received and now - self.first_at < SAME_SECONDS:
            return 0
        self.first_at = self.first_at or now
        self.received += 1
        return self.received

    def handle(self, _number: int, _frame: Any) -> None:
        """The handler. Raises Interrupted unless `end` takes care of the first signal."""
        leave_terminal()
        count = self.count()
        if count == 1 and self.end is not None:
            self.end()
            say(f"\n{STOPPING}" if os.isatty(2) else STOPPING)  # a terminal shows ^C, and a live table without its end
        elif count:
            raise Interrupted


present: list[Interrupts] = []
"""Those of the `interruptible` that the main thread is in; empty outside."""


def exit_at_signals() -> None:
    """From now on each signal ends the process with exit code 130: before a command begins, and after it has ended."""
    for number in handled():
        signal.signal(number, lambda _number, _frame: leave("interrupted"))


@contextmanager
def interruptible(*, limited: bool = False) -> Iterator[None]:
    """In the body, each signal raises KeyboardInterrupt; the handlers of before are restored after it.

    `limited`: the process ends `AT_ONCE_SECONDS` after the second signal, and at the third one, even while the main
    thread is in a call that does not return. Does nothing inside another `interruptible`, and outside the main thread,
    which alone receives signals.
    """
    if present or threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in handled()}
    interrupts = Interrupts()
    present.append(interrupts)
    try:
        for number in before:
            signal.signal(number, interrupts.handle)
        with limit() if limited else nullcontext():
            yield
    finally:
        present.remove(interrupts)
        for number, former in before.items():
            if former is not None:  # one that was not set from Python cannot be restored
                signal.signal(number, former)


@contextmanager
def ending_gently(end: Callable[[], None]) -> Iterator[None]:
    """In the body, the first signal calls `end`, and the second one raises KeyboardInterrupt.

    Raises KeyboardInterrupt when there was a signal already: Python drops the exception of a handler that runs inside
    a destructor or a callback of C code.
    """
    with interruptible():
        if not present or threading.current_thread() is not threading.main_thread():
            yield
            return
        (interrupts,) = present
        if interrupts.received:
            raise Interrupted
        interrupts.end = end
        try:
            yield
        finally:
            interrupts.end = None


@contextmanager
def keeping_handlers() -> Iterator[None]:
    """In the body, no library can set a handler of these signals: Ray sets some that end the process."""
    real = signal.signal

    def set_others(number: int, handler: Any) -> Any:
        return signal.getsignal(number) if number in ENDING else real(number, handler)

    signal.signal = set_others  # type: ignore[assignment] # with plain numbers for signals
    try:
        yield
    finally:
        signal.signal = real


@contextmanager
def sparing_children() -> Iterator[None]:
    r"""In the body, start processes that do not get the signals of a closing terminal and of Ctrl-\.

    A terminal sends them to all processes in the foreground; the driver alone decides when its cluster ends. A process
    inherits the mask of the thread that starts it. Ray itself blocks SIGINT in this way.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP, signal.SIGQUIT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def limit() -> Iterator[None]:
    """In the body, a thread counts the signals as they arrive, and ends the process when it does not end itself."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    before = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    thread = threading.Thread(target=watch, args=(reader,), name="signals", daemon=True)
    thread.start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(before)
        os.close(writer)
        thread.join()
        os.close(reader)


def watch(reader: int) -> None:
    """Read the numbers of signals from a pipe until it is closed, and end the process if it must."""
    interrupts, ends_at = Interrupts(), float("inf")
    while True:
        seconds = None if ends_at == float("inf") else max(0.0, ends_at - time.monotonic())
        ready, _, _ = select.select([reader], [], [], seconds)
        numbers = os.read(reader, 64) if ready else b""
        if ready and not numbers:
            return
        counts = [interrupts.count() for number in numbers if number in ENDING]
        if 2 in counts:
            ends_at = time.monotonic() + AT_ONCE_SECONDS
        if not ready or max(counts, default=0) > 2:
            leave("interrupted; the process was ended, and the same command can be run again")


def handled() -> list[signal.Signals]:
    """Those of the signals that are not ignored."""
    return [number for number in ENDING if signal.getsignal(number) is not signal.SIG_IGN]


def leave(line: str) -> None:
    """Print a line and end the process: the system releases its locks, and its children end with it."""
    say(line)
    os._exit(INTERRUPTED)


def say(line: str) -> None:
    """Write a line to stderr past its buffer, which a handler may have interrupted."""
    with suppress(OSError):
        os.write(2, f"{line}\n".encode())


def leave_terminal() -> None:
    """Discard further output where it goes to a terminal that was closed: writing to it is an error."""
    for descriptor in (1, 2):
        try:
            termios.tcgetattr(descriptor)
        except termios.error as error:
            if error.args[0] == errno.EIO:  # it was a terminal
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, descriptor)
                os.close(nowhere)
