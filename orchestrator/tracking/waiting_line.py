"""WaitingLine: says what a command waits for before it has anything else to show, once that takes a moment."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from threading import Timer
from typing import TYPE_CHECKING, Self, TextIO

from orchestrator.planning.cost_forecast import duration

if TYPE_CHECKING:  # rich takes a tenth of a second, and most commands have nothing to wait for
    from rich.live import Live
    from rich.text import Text

__all__ = ["WaitingLine", "waiting_text"]

AFTER_SECONDS = 0.5
"""What takes less is not worth a line."""


class WaitingLine:
    """Called with what is being done, such as `camvid: reading every image and label, once`; empty: nothing any more.

    A terminal shows it with the seconds so far until it is over, any other stream gets a line. On standard error,
    because standard output may be JSON. A context, at whose end nothing is shown any more.
    """

    def __init__(self, stream: TextIO | None = None, after_seconds: float = AFTER_SECONDS) -> None:
        self.stream = sys.stderr if stream is None else stream
        self.after_seconds = after_seconds
        self.timer: Timer | None = None
        self.live: Live | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self("")

    def __call__(self, what: str) -> None:
        """Replace what was said before."""
        if self.timer is not None:
            self.timer.cancel()
            self.timer.join()
            self.timer = None
        if self.live is not None:
            self.live.stop()
            self.live = None
        if what:
            self.timer = Timer(self.after_seconds, self.show, [what, time.monotonic()])
            self.timer.daemon = True
            self.timer.start()

    def show(self, what: str, since: float) -> None:
        """Say it; called by the timer."""
        from rich.console import Console
        from rich.live import Live

        from orchestrator.tracking.terminal import draws

        console = Console(file=self.stream, highlight=False)
        if not draws(console):
            self.stream.write(f"{what}\n")
            self.stream.flush()
            return
        line = Waiting(what, since)
        self.live = Live(line, console=console, refresh_per_second=2, transient=True, redirect_stdout=False)
        self.live.start()


@dataclass(frozen=True, slots=True)
class Waiting:
    """A line that counts the seconds while it is shown."""

    what: str
    since: float
    """On the monotonic clock."""

    def __rich__(self) -> Text:
        return waiting_text(self.what, time.monotonic() - self.since)


def waiting_text(what: str, seconds: float) -> Text:
    """`starting Ray · 3 s`."""
    from rich.text import Text

    return Text(f"{what} · {duration(seconds)}", style="yellow")
