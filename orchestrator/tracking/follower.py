"""Follower: the tracker that mirrors a sweep to MLflow through a child process, so that MLflow never slows the driver.

The driver writes JSON lines to the child's standard input: first the settings, then which trials changed. The child
(`orchestrator.tracking.follower_process`) reads the run directory, delivers, and writes its state to standard output.
It ends with the driver, however the driver ends; when the child dies, the next one catches up.
"""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from orchestrator.errors import AccessError, TrackingError
from orchestrator.machine.python_child import python_path
from orchestrator.running.task import Task
from orchestrator.store.attempt_record import AttemptRecord, Point
from orchestrator.store.sweep_record import SweepRecord
from orchestrator.tracking.retries import BackOff, RetryTimings
from orchestrator.workload.loading import WorkloadError, WorkloadSource, source_of

__all__ = ["Follower", "RetryTimings"]

logger = logging.getLogger(__name__)

CODE = "import gc; gc.disable(); from orchestrator.tracking.follower_process import main; main()"
"""Python's collector would look again and again at the objects that importing MLflow makes: a fifth of its time."""


class Follower:
    """The driver's side: a `Tracker` that never raises, and never waits except in `admit`, `close` and `stop`."""

    def __init__(
        self,
        tracking_uri: str,
        run_dir: Path | str,
        live_table: Path | None = None,
        timings: RetryTimings | None = None,
        *,
        at_once: bool = True,
    ) -> None:
        """`live_table`: a Markdown file that the driver rewrites while the sweep runs. `at_once`: start the child now.

        Otherwise it starts with the first report of a trial, so that importing MLflow delays none.
        """
        self.timings = timings or RetryTimings()
        self.opening = {
            "uri": tracking_uri,
            "run_dir": str(run_dir),
            "live_table": str(live_table or ""),
            "timings": asdict(self.timings),
        }
        self.sweep = ""
        """Name of the sweep; empty before `begin`."""
        self.workload: WorkloadSource | None = None
        """The code that exports models, which the child may not find by its name."""
        self.running: set[str] = set()
        self.ending: dict[str, Any] | None = None
        self.failure: TrackingError | None = None
        """Why MLflow lacks something at present; None while all is well."""
        self.lacking = ""
        """What MLflow lacks at present, `3 trials and the final table`; empty if nothing, or if the child died."""
        self.page = ""
        """Path of MLflow's page with the runs of the sweep, once it is known."""
        self.refused: AccessError | None = None
        self.failing_since: float | None = None
        self.blocked = False
        """Somebody has to repair MLflow's store, so that waiting for it at the end of the sweep is of no use."""
        self.contacted = False
        self.answered = False
        """The present child has told its first state, so it reads what it is told."""
        self.finished = False
        self.stopped = False
        self.changed = threading.Condition()
        self.process: subprocess.Popen[bytes] | None = None
        self.at_once = at_once
        self.thread = threading.Thread(target=self.listen, name="tracking", daemon=True)
        if at_once:
            self.start()

    def start(self) -> None:
        """Start the child, unless that was done."""
        with self.changed:
            if self.thread.ident is None and not self.stopped:
                self.thread.start()

    # -- what the driver tells

    def begin(self, sweep: SweepRecord, outcomes: Mapping[str, AttemptRecord]) -> None:
        """The sweep starts: the child compares MLflow with the run directory."""
        with self.changed:
            self.sweep = sweep.name
            with suppress(WorkloadError):  # not read here; then it exports no models
                self.workload = source_of(sweep.workload)
            self.tell_beginning()

    def tell_beginning(self) -> None:
        """Tell the child which sweep it is, what runs by now, and the code that exports models."""
        workload = None if self.workload is None else asdict(self.workload)
        self.tell(event="begin", sweep=self.sweep, running=sorted(self.running), workload=workload)

    def planned(self, sweep: SweepRecord) -> None:
        """The plan has grown."""
        self.tell(event="plan")

    def started(self, task: Task) -> None:
        """A trial starts."""
        with self.changed:
            self.running.add(task.trial_id)
            self.tell(trial=task.trial_id, running=True)

    def reported(self, task: Task, point: Point) -> None:
        """A trial has a new point."""
        self.start()
        self.tell(trial=task.trial_id, running=True)

    def ended(self, task: Task, record: AttemptRecord) -> None:
        """A trial has a new record."""
        self.start()
        with self.changed:
            self.running.discard(task.trial_id)
            self.tell(trial=task.trial_id, running=False)

    def finish(self, outcomes: Mapping[str, AttemptRecord], artifacts: Mapping[str, Path], completed: bool) -> None:
        """The sweep is over."""
        self.start()
        with self.changed:
            files = {style: str(path.resolve()) for style, path in artifacts.items()}
            self.ending = {"event": "finish", "artifacts": files, "completed": completed}
            self.tell(**self.ending)

    def tell(self, **event: Any) -> None:
        """Tell the child something, unless it does not read yet: it is told everything when it does."""
        with self.changed:
            if self.answered:
                self.write(event)

    def write(self, event: Mapping[str, Any]) -> None:
        """Write a line to the child without waiting."""
        if self.process is None or self.process.stdin is None or self.process.stdin.closed:
            return
        pipe, line = self.process.stdin.fileno(), json.dumps(event).encode() + b"\n"
        os.set_blocking(pipe, False)
        try:
            whole = os.write(pipe, line) == len(line)
        except (BlockingIOError, BrokenPipeError):
            whole = False
        if not whole:  # it hangs or is dead: the next child catches up
            self.process.kill()

    # -- what the sweep asks

    def admit(self) -> None:
        """Wait for MLflow's first answer, a limited time. Raises AccessError when MLflow refuses access.

        Does nothing if the child starts later.
        """
        if not self.at_once:
            return
        with self.changed:
            self.changed.wait_for(lambda: self.contacted, self.timings.admission_seconds)
            if self.refused is not None:
                raise self.refused

    def close(self) -> None:
        """Wait as `wait` does, then end the child."""
        self.wait()
        self.stop()

    def wait(self) -> None:
        """Wait until MLflow has everything or `timings` say to give up; `lacking` and `failure` then tell the rest."""
        closed_at = time.monotonic()
        with self.changed:
            while self.sweep and self.ending and not (self.finished or self.refused or self.stopped):
                self.changed.wait(0.1)
                now, since = time.monotonic(), self.failing_since
                limit = 0.0 if self.blocked else self.timings.outage_seconds
                tried_again = now - closed_at > 2 * self.timings.closing_retry_seconds
                if since is not None and now - since > limit and tried_again:
                    self.stopped = True
                elif now - closed_at > self.timings.closing_seconds:
                    self.failure = self.failure or TrackingError(f"not finished after {now - closed_at:.0f} s")
                    self.stopped = True

    def stop(self) -> None:
        """End the child: what it has written is whole, and it keeps nothing.

        It ends at once, unless the sweep is in MLflow and not finished there: then it ends the runs first.
        """
        with self.changed:
            unfinished = bool(self.sweep) and not self.finished and self.failing_since is None and not self.stopped
            self.stopped = True
            self.changed.notify_all()
            if self.process is not None and unfinished and self.process.stdin is not None:
                self.process.stdin.close()
            elif self.process is not None:
                self.process.kill()
        if self.thread.ident is not None:
            self.thread.join()

    # -- the thread

    def listen(self) -> None:
        """Read the child's states; start another child when one died."""
        back_off = BackOff(self.timings)
        while not self.stopped:
            try:
                died = self.run_child()
            except OSError as error:
                died = f"the process that writes to MLflow did not start ({error.strerror})"
            with self.changed:
                if self.stopped or self.finished or self.refused:
                    return
                self.note(died, failing=True)
                self.lacking = ""
                self.changed.wait_for(lambda: self.stopped, back_off.after_failure())

    def run_child(self) -> str:
        """Start a child and read its states until it ends; returns how it ended."""
        with self.changed:
            if self.stopped:
                return ""
            process = self.process = self.spawn()
            self.write(self.opening)
        with process:
            for line in process.stdout or ():
                self.hear(json.loads(line))
            with self.changed:
                self.process, self.answered = None, False  # `tell` must not find its pipe closed
        return f"the process that writes to MLflow ended (exit code {process.returncode})"

    def spawn(self) -> subprocess.Popen[bytes]:
        """A new child. It has a session of its own, because Ctrl-C is for the driver.

        It gets no arguments: the address of the server may hold a password, and everybody can read a command line.
        """
        return subprocess.Popen(  # noqa: S603 - this interpreter, this module
            [sys.executable, "-P", "-c", CODE],
            env={**os.environ, "PYTHONPATH": python_path()},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )

    def hear(self, state: Mapping[str, Any]) -> None:
        """Take over the child's state. After its first one it is told where the sweep stands."""
        with self.changed:
            if self.stopped:  # a late success must not hide that the follower has given up
                return
            if state["refused"]:
                self.refused = AccessError(state["failure"])
            self.blocked = state.get("blocked", False)
            self.note(state["failure"], failing=state["failing"])
            self.lacking, self.finished = state["lacking"], state["finished"]
            self.page = state.get("page") or self.page
            if not self.answered:
                self.answered = True
                if self.sweep:
                    self.tell_beginning()
                if self.ending is not None:
                    self.tell(**self.ending)

    def note(self, failure: str, *, failing: bool) -> None:
        """Note whether MLflow can be written at present; a change is one line."""
        if failing and self.failing_since is None and self.refused is None:
            logger.warning("MLflow gets nothing at present (%s); the sweep continues", failure)
        elif not failing and self.failing_since is not None:
            logger.warning("MLflow can be written again")
        self.failure = TrackingError(failure) if failure else None
        self.failing_since = (self.failing_since or time.monotonic()) if failing else None
        self.contacted = True
        self.changed.notify_all()
