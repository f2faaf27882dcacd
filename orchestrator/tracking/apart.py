"""Apart: the mirror in a process of its own, so that MLflow's work takes no turns from the driver's (issue 7).

`MirrorProcess` stands for the mirror on the driver's side, and this file is also what the process runs: calls come
down a pipe, one at a time, and their results or errors go back. The process ends with the driver, however that ends.
"""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.errors import OutageError, SweepError, TrackingError
from orchestrator.store.records import AttemptRecord, Point, SweepRecord

if TYPE_CHECKING:
    from orchestrator.tracking.mirror import Mirror

__all__ = ["MirrorProcess"]

MODULE = "orchestrator.tracking.apart"
PACKAGES = Path(__file__).resolve().parents[2]
"""Where the process finds this code, whatever folder the driver was started in."""
END_SECONDS = 5.0
"""How long a process that has closed its end of the pipe may take to be gone."""


class MirrorProcess:
    """A `Mirroring` whose work is done in another process, which lives until `close`; to be used from one thread.

    Methods raise what the mirror raises, and OutageError when the process died: `connect` then starts another.
    """

    def __init__(self, tracking_uri: str, run_dir: Path | str, live_table: Path | None = None) -> None:
        """As for `Mirror`; nothing is started before `connect`."""
        self.tracking_uri = tracking_uri
        self.run_dir = run_dir
        self.live_table = live_table
        self.process: subprocess.Popen[bytes] | None = None
        self.connection: Connection[Any, Any]
        self.sent: dict[str, AttemptRecord] = {}
        """The outcomes that the process knows."""

    def connect(self) -> MirrorProcess:
        """A mirror that was opened anew, in the process of before if it lives. Raises TrackingError."""
        if self.process is None or self.process.poll() is not None:
            self.start()
        self.ask("open", self.tracking_uri, self.run_dir, self.live_table)
        return self

    def start(self) -> None:
        """Start the process. It has a session of its own: Ctrl-C is the driver's."""
        self.close()
        self.connection, theirs = Pipe()
        path = os.pathsep.join(filter(None, [str(PACKAGES), os.environ.get("PYTHONPATH")]))
        with theirs:
            self.process = subprocess.Popen(  # noqa: S603 - this interpreter, this module
                [sys.executable, "-m", MODULE, str(theirs.fileno())],
                env={**os.environ, "PYTHONPATH": path},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,  # the sweep's, and JSON lines with --json
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )

    def close(self) -> None:
        """End the process, whatever it is at: what it has written is whole, and it keeps nothing."""
        process, self.process = self.process, None
        if process is not None:
            process.kill()
            process.wait()
            self.connection.close()

    def ask(self, name: str, *arguments: object) -> Any:
        """The result of a call there; raises its error here."""
        try:
            self.connection.send((name, arguments))
            error, value = self.connection.recv()
        except (EOFError, OSError) as gone:
            code = self.process.wait(END_SECONDS) if self.process is not None else None
            raise OutageError(f"the process that writes to MLflow ended (exit code {code})") from gone
        if error is not None:
            raise error
        return value

    def fresh(self, outcomes: Mapping[str, AttemptRecord]) -> dict[str, AttemptRecord]:
        """Those outcomes that the process does not know yet."""
        found = {trial_id: record for trial_id, record in outcomes.items() if self.sent.get(trial_id) is not record}
        self.sent.update(found)
        return found

    # -- the mirror's calls

    def begin(self, sweep: SweepRecord, outcomes: Mapping[str, AttemptRecord], running: set[str]) -> list[str]:
        """See `Mirror.begin`."""
        self.sent = {}
        found: list[str] = self.ask("begin", sweep, self.fresh(outcomes), running)
        return found

    def planned(self, sweep: SweepRecord) -> None:
        """See `Mirror.planned`."""
        self.ask("planned", sweep)

    def deliver(self, trial_id: str, record: AttemptRecord | None, points: list[Point] | None) -> None:
        """See `Mirror.deliver`."""
        self.ask("deliver", trial_id, record, points)

    def refresh(self, outcomes: Mapping[str, AttemptRecord], running: set[str]) -> None:
        """See `Mirror.refresh`."""
        self.ask("refresh", self.fresh(outcomes), running)

    def finish(self, outcomes: Mapping[str, AttemptRecord], artifacts: Mapping[str, Path], completed: bool) -> None:
        """See `Mirror.finish`."""
        self.ask("finish", self.fresh(outcomes), artifacts, completed)


class Served:
    """The mirror on the other side, which is told of each outcome once."""

    def __init__(self) -> None:
        self.mirror: Mirror
        self.outcomes: dict[str, AttemptRecord] = {}

    def open(self, tracking_uri: str, run_dir: Path | str, live_table: Path | None) -> None:
        """Open the mirror."""
        from orchestrator.tracking.mirror import Mirror
        from orchestrator.tracking.mlflow_store import Server, spare_syncs

        spare_syncs()
        self.mirror = Mirror(Server(tracking_uri), run_dir, live_table)

    def begin(self, sweep: SweepRecord, outcomes: dict[str, AttemptRecord], running: set[str]) -> list[str]:
        """`Mirror.begin` with all outcomes."""
        self.outcomes = outcomes
        return self.mirror.begin(sweep, outcomes, running)

    def planned(self, sweep: SweepRecord) -> None:
        """`Mirror.planned`."""
        self.mirror.planned(sweep)

    def deliver(self, trial_id: str, record: AttemptRecord | None, points: list[Point] | None) -> None:
        """`Mirror.deliver`."""
        self.mirror.deliver(trial_id, record, points)

    def refresh(self, fresh: Mapping[str, AttemptRecord], running: set[str]) -> None:
        """`Mirror.refresh` with what is new."""
        self.outcomes.update(fresh)
        self.mirror.refresh(self.outcomes, running)

    def finish(self, fresh: Mapping[str, AttemptRecord], artifacts: Mapping[str, Path], completed: bool) -> None:
        """`Mirror.finish` with what is new."""
        self.outcomes.update(fresh)
        self.mirror.finish(self.outcomes, artifacts, completed)


def serve(connection: Connection[Any, Any], calls: queue.SimpleQueue[tuple[str, tuple[Any, ...]]]) -> None:
    """Answer one call after the other."""
    served = Served()
    while True:
        name, arguments = calls.get()
        error: SweepError | None = None
        value = None
        try:
            value = getattr(served, name)(*arguments)
        except SweepError as refused:
            error = refused
        except Exception as failure:  # of any class, which need not survive the way back
            error = TrackingError(f"{type(failure).__name__}: {' '.join(str(failure).split())}")
        connection.send((error, value))


def main() -> None:
    """Serve the connection named on the command line until nobody holds its other end."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # a batch system sends it to all; the driver says when we are done
    connection: Connection[Any, Any] = Connection(int(sys.argv[1]))
    calls: queue.SimpleQueue[tuple[str, tuple[Any, ...]]] = queue.SimpleQueue()
    threading.Thread(target=serve, args=(connection, calls), daemon=True).start()
    while True:
        try:
            calls.put(connection.recv())
        except (EOFError, OSError):
            os._exit(0)  # in the middle of a call too: the driver was killed, or has given up


if __name__ == "__main__":
    main()
