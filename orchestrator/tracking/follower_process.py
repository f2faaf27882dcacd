"""The child process of a `Follower`: reads which trials changed and delivers them to MLflow, round after round."""

from __future__ import annotations

import gc
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, TextIO

from orchestrator.errors import AccessError, BlockedError, SweepError
from orchestrator.redaction import one_line
from orchestrator.store.lock import holder_of
from orchestrator.store.run_directory import RunDirectory
from orchestrator.tracking.delivery import Delivery, log_unexpected
from orchestrator.tracking.mlflow_database import spare_syncs
from orchestrator.tracking.mlflow_store import Server
from orchestrator.tracking.orphaned_runs import end_orphaned_runs
from orchestrator.tracking.retries import BackOff, RetryTimings
from orchestrator.workload.loading import WorkloadSource

__all__ = ["FollowerProcess", "main"]

ABANDONED_SECONDS = 8.0
"""How long the child outlives a driver that was killed."""


class FollowerProcess:
    """One thread hears what changed, another delivers it."""

    def __init__(self, opening: Mapping[str, Any], connect: Callable[[str], Server], answers: TextIO) -> None:
        """`opening` is the first event; `connect` opens the server at an address; `answers` takes JSON lines."""
        self.uri = opening["uri"]
        self.directory = RunDirectory(opening["run_dir"])
        self.live_table = Path(opening["live_table"]) if opening["live_table"] else None
        self.timings = RetryTimings(**opening["timings"])
        self.connect = connect
        self.answers = answers
        self.changed = threading.Condition()
        self.inbox: dict[str, Mapping[str, Any]] = {}
        """Events that wait for the next round; only the newest of each trial."""
        self.closing = False
        self.server: Server | None = None
        self.delivery: Delivery | None = None
        self.failure, self.failing, self.blocked = "", False, False
        self.page = ""
        self.told: dict[str, Any] = {}
        self.holder = ""
        """The driver, as `holder_of` tells it."""
        self.delivering = threading.Lock()
        """Held during a round, and for good once the driver is gone."""
        self.abandoned = False

    def hear(self, event: Mapping[str, Any]) -> None:
        """Keep an event for the next round."""
        with self.changed:
            self.inbox[event.get("trial") or event["event"]] = event
            self.closing = self.closing or "finish" in self.inbox
            self.changed.notify()

    def work(self) -> None:
        """Deliver round after round until the sweep is finished, or MLflow refuses access at the start."""
        back_off = BackOff(self.timings)
        while self.delivery is None or not self.delivery.finished:
            began, succeeded = time.monotonic(), False
            try:
                with self.delivering:
                    succeeded = self.round()
                self.succeed()
            except Exception as error:  # whatever a server, a network or a disk can do
                log_unexpected(error)
                self.failure, self.failing, self.server = described(error), True, None
                self.blocked = isinstance(error, BlockedError)
                if isinstance(error, AccessError) and not self.told:
                    self.tell(refused=True)
                    return
                self.tell()
            if succeeded:
                back_off.reset()
                pause = max(self.timings.round_seconds, self.delivery.pause_seconds if self.delivery else 0.0)
                self.rest(began + pause - time.monotonic(), succeeded=True)
            else:
                self.rest(back_off.after_failure(), succeeded=False)

    def round(self) -> bool:
        """Connect where necessary and deliver what the driver told by now; returns whether all of it succeeded."""
        begin = self.inbox.get("begin")
        if self.delivery is None and begin is not None:
            self.delivery = Delivery(
                self.directory,
                begin["sweep"],
                self.live_table,
                self.progress,
                workload=WorkloadSource.from_json(named) if (named := begin.get("workload")) else None,
            )
            self.delivery.running.update(begin["running"])
            self.holder = holder_of(self.directory.files)
        if self.delivery is not None:
            with self.changed:
                inbox, self.inbox = self.inbox, {}
            for key, event in inbox.items():
                if "trial" in event:
                    self.delivery.trial_changed(key, running=event["running"])
            self.delivery.plan_changed = self.delivery.plan_changed or "plan" in inbox
            if (ending := inbox.get("finish")) is not None:
                artifacts = {style: Path(path) for style, path in ending["artifacts"].items()}
                self.delivery.finish(artifacts, completed=ending["completed"])
        if self.server is None:
            self.server = self.connect(self.uri)
            self.server.closed = self.abandoned
        return self.delivery is None or self.delivery.round(self.server)

    def abandon(self) -> None:
        """The driver is gone: stop after the present request, and end the runs that say RUNNING.

        Raises SweepError.
        """
        if self.delivery is None or self.delivery.finished:
            return
        self.abandoned = True
        if self.server is not None:
            self.server.closed = True
        self.delivering.acquire()
        end_orphaned_runs(self.connect(self.uri), self.directory, self.delivery.sweep.name, self.holder)

    def rest(self, seconds: float, *, succeeded: bool) -> None:
        """Wait `seconds`, and after a success for news; the end of the sweep shortens both."""
        with self.changed:
            if self.closing:
                if not (succeeded and self.inbox):
                    self.changed.wait_for(lambda: False, min(seconds, self.timings.closing_retry_seconds))
                return
            self.changed.wait_for(lambda: self.closing, seconds)
            if succeeded and not (self.delivery and self.delivery.pending):
                self.changed.wait_for(lambda: self.inbox)

    def progress(self) -> None:
        """A trial was delivered: MLflow can be written again, and at the end the driver sees that less is missing."""
        if self.failing or self.closing:
            self.succeed()

    def succeed(self) -> None:
        """Tell that MLflow can be written; what stays missing are the trials that it refuses."""
        refused = self.delivery.refused.values() if self.delivery else ()
        self.failure, self.failing, self.blocked = next(map(described, refused), ""), False, False
        self.tell()

    def tell(self, *, refused: bool = False) -> None:
        """Tell the driver the state, if it has changed."""
        state = {"refused": refused, "blocked": self.blocked, "failure": self.failure, "failing": self.failing}
        state |= {"lacking": "", "finished": False}
        if self.delivery is not None:
            self.page = self.delivery.page or self.page
            state |= {"lacking": self.delivery.lacking, "finished": self.delivery.finished, "page": self.page}
        if state != self.told:
            self.told = state
            with suppress(BrokenPipeError):  # nobody hears it any more: `abandon` follows
                self.answers.write(json.dumps(state) + "\n")
                self.answers.flush()


def described(error: Exception) -> str:
    """An error in one line without secrets."""
    kind = "" if isinstance(error, SweepError) else f"{type(error).__name__}: "
    return one_line(f"{kind}{error}")


def main() -> None:
    """Follow the sweep that standard input tells of, until it is finished or the driver is gone."""
    gc.enable()
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # a batch system sends it to all; the driver decides when to end
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    with open(os.devnull, "wb") as nowhere:  # noqa: PTH123
        os.dup2(nowhere.fileno(), sys.stdout.fileno())  # whatever MLflow prints
    events = map(json.loads, sys.stdin.buffer)
    opening = next(events, None)
    if opening is None:
        return
    child = FollowerProcess(opening, Server, answers)
    spare_syncs()
    threading.Thread(target=deliver, args=(child,), daemon=True).start()
    for event in events:
        child.hear(event)
    limit = threading.Timer(ABANDONED_SECONDS, os._exit, [0])  # in the middle of a call too
    limit.daemon = True
    limit.start()
    with suppress(SweepError):
        child.abandon()
    os._exit(0)


def deliver(child: FollowerProcess) -> None:
    """Let the other thread deliver; a defect ends the process, so that the driver starts another."""
    try:
        child.work()
    except Exception as error:
        log_unexpected(error)
        os._exit(1)
