"""The child process of a `FigureProcess`: draws what it is told to, in processes that it forks.

They start with matplotlib imported. Those that draw in advance have a low priority; the last ones share the figures.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait

from orchestrator.errors import shortened
from orchestrator.interrupts import ENDING
from orchestrator.machine.parent_process import end_with_parent
from orchestrator.redaction import one_line
from reports.figures.drawing import Drawing
from reports.figures.process import Order

__all__ = ["main"]

MOST_PROCESSES = 4
"""That draw at the same moment: a sweep has few figures."""
LOW_PRIORITY = 15
"""Added to the niceness of a process that draws in advance."""

Content = dict[str, bytes] | str
"""The file of each format, or why there is none."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Forked:
    """A process that draws."""

    pid: int
    results: Connection
    """Gives digest and content of each figure."""


class FigureChild:
    """Carries out one order after the other; keeps what it has drawn."""

    def __init__(self, link: Connection) -> None:
        self.link = link
        self.contents: dict[str, Content] = {}
        """By digest of the drawing, also why it failed."""
        self.forked: list[Forked] = []

    def serve(self) -> None:
        """Carry out orders until the other end is closed."""
        try:
            while True:
                self.carry_out(self.link.recv())
        except EOFError:
            pass
        finally:
            self.end_forked()

    def carry_out(self, order: Order) -> None:
        """Draw what is not drawn yet; returns early when there is another order."""
        waiting = {drawing.digest: drawing.name for drawing in order.drawings}
        missing = [drawing for drawing in order.drawings if not isinstance(self.contents.get(drawing.digest), dict)]
        for drawing in missing:  # what failed is tried again
            self.contents.pop(drawing.digest, None)
        self.send_drawn(order, waiting)
        try:
            import_matplotlib()
            self.fork(missing, in_advance=order.in_advance)
        except (ImportError, OSError) as error:
            self.contents.update({drawing.digest: failure(error) for drawing in missing})
        while self.forked:
            ready = wait([self.link, *(item.results for item in self.forked)])
            if self.link in ready:
                self.end_forked()
                return
            for item in [item for item in self.forked if item.results in ready]:
                self.take_over(item)
            self.send_drawn(order, waiting)
        for digest in waiting:  # what a process that has died was to draw
            self.contents.setdefault(digest, "not drawn: the process that drew it has died")
        self.send_drawn(order, waiting)
        if order.in_advance:
            self.link.send(("", ""))

    def fork(self, drawings: list[Drawing], *, in_advance: bool) -> None:
        """Start processes that draw: a single one in advance, at the end one for each core. Raises OSError."""
        count = min(len(drawings), 1 if in_advance else min(cores(), MOST_PROCESSES))
        parent = os.getpid()
        for place in range(count):
            ours, theirs = Pipe(duplex=False)
            pid = os.fork()
            if pid == 0:
                try:
                    end_with_parent(parent)
                    self.close_inherited()
                    draw_share(drawings[place::count], theirs, LOW_PRIORITY if in_advance else 0)
                finally:
                    os._exit(0)
            theirs.close()
            self.forked.append(Forked(pid=pid, results=ours))

    def close_inherited(self) -> None:
        """In a forked process, close what it does not use, so that the ends of the others are noticed."""
        self.link.close()
        for item in self.forked:
            item.results.close()

    def take_over(self, item: Forked) -> None:
        """Keep the next figure of a process that draws; at its end, reap it."""
        try:
            digest, content = item.results.recv()
            self.contents[digest] = content
        except (EOFError, OSError):
            self.end(item)

    def send_drawn(self, order: Order, waiting: dict[str, str]) -> None:
        """Send the figures that are drawn by now, unless nobody waits for them yet."""
        if order.in_advance:
            return
        for digest in [digest for digest in waiting if digest in self.contents]:
            self.link.send((waiting.pop(digest), self.contents[digest]))

    def end_forked(self) -> None:
        """Kill the processes that draw."""
        for item in list(self.forked):
            self.end(item)

    def end(self, item: Forked) -> None:
        """Kill and reap a process that draws."""
        with suppress(ProcessLookupError):
            os.kill(item.pid, signal.SIGKILL)
        os.waitpid(item.pid, 0)
        item.results.close()
        self.forked.remove(item)


def draw_share(drawings: list[Drawing], results: Connection, niceness: int) -> None:
    """Draw figures and send each when it is drawn; what matplotlib raises is the reason why there is none."""
    from reports.figures.draw import draw_files

    os.nice(niceness)
    for drawing in drawings:
        content: Content
        try:
            content = draw_files(drawing)
        except Exception as error:
            content = failure(error)
        results.send((drawing.digest, content))


def import_matplotlib() -> None:
    """Import what draws before a fork, so that it is done once. Raises ImportError."""
    import reports.figures.draw  # noqa: F401
    from reports.figures.text import known_letters

    known_letters()


def failure(error: Exception) -> str:
    """Why a figure is not drawn, in one line."""
    return f"not drawn ({shortened(one_line(f'{type(error).__name__}: {error}'))})"


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def main() -> None:
    """Draw for the process with the number on the command line, which is at the other end of standard input."""
    for number in ENDING:
        signal.signal(number, signal.SIG_IGN)  # the driver decides when to end
    end_with_parent(int(sys.argv[1]))
    with socket.socket(fileno=sys.stdin.fileno()) as ours:
        link = Connection(ours.detach())
    with suppress(BrokenPipeError, ConnectionResetError):
        FigureChild(link).serve()
    os._exit(0)


if __name__ == "__main__":
    main()
