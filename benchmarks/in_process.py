"""A follower whose deliveries happen in this process, where their requests are counted and their time is measured."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, NoReturn

from orchestrator.errors import SweepError
from orchestrator.tracking.follower import Follower, RetryTimings
from orchestrator.tracking.follower_process import FollowerProcess
from orchestrator.tracking.mlflow_store import Server

__all__ = ["InProcessFollower"]


class InProcessFollower(Follower):
    """Speaks the same protocol with a thread instead of a child process."""

    def __init__(
        self,
        tracking_uri: str,
        run_dir: Path | str,
        timings: RetryTimings | None = None,
        connect: Callable[[str], Server] = Server,
        *,
        at_once: bool = True,
    ) -> None:
        self.connect = connect
        self.children: list[ChildThread] = []
        super().__init__(tracking_uri, run_dir, timings=timings, at_once=at_once)

    def spawn(self) -> Any:
        """A new thread."""
        self.children.append(ChildThread(self.connect))
        return self.children[-1]


class ChildThread:
    """Has what the follower uses of `subprocess.Popen`."""

    def __init__(self, connect: Callable[[str], Server]) -> None:
        (events, told), (heard, answers) = os.pipe(), os.pipe()
        self.stdin, self.stdout = os.fdopen(told, "wb", buffering=0), os.fdopen(heard, "rb")
        self.returncode = 0
        self.child: FollowerProcess | None = None
        self.thread = threading.Thread(
            target=self.run, args=(os.fdopen(events, "rb"), os.fdopen(answers, "w"), connect), daemon=True
        )
        self.thread.start()

    def run(self, events: IO[bytes], answers: IO[str], connect: Callable[[str], Server]) -> None:
        """Deliver in this thread, listen in another; the end of the events ends both, as it ends the process."""
        lines = map(json.loads, events)

        def listen() -> None:
            with events:
                for line in lines:
                    child.hear(line)
            with suppress(SweepError):
                child.abandon()
            self.kill()
            if child.abandoned:  # it holds the lock for good, as a process ends then
                child.delivering.release()

        with answers, suppress(SystemExit):
            self.child = child = FollowerProcess(next(lines), connect, answers)
            threading.Thread(target=listen, daemon=True).start()
            child.work()

    def kill(self) -> None:
        """End the thread as soon as its present call is over."""
        if self.child is not None:
            self.child.round = exit_thread
            self.child.hear({"event": "wake"})

    def __enter__(self) -> ChildThread:
        return self

    def __exit__(self, *_: object) -> None:
        self.stdin.close()
        self.stdout.close()
        self.thread.join()


def exit_thread() -> NoReturn:
    """End the thread that calls this."""
    raise SystemExit
