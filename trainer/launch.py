"""One job in several processes of this machine: start them, hear them, and end them all with the first that fails.

Nothing here knows of training, and nothing imports torch. The processes are plain children, not those of
`multiprocessing`, so that a caller may be a script without a `__main__` guard, a notebook, or itself a daemonic child.
"""

from __future__ import annotations

import ctypes
import json
import os
import pickle
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, Pipe, wait
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from trainer.errors import RankLostError, TrainerError

__all__ = ["Progress", "Seat", "Work", "run_ranks", "serve"]

Progress = Callable[[int, dict[str, float]], None]
"""Called with the number of steps taken and the metrics measured there."""

GRACE_SECONDS = 1.0
"""How long the others may still say what happened to them after the first failed: theirs may have been the cause."""

PATIENCE_SECONDS = 20.0
"""How long a rank that has delivered its result may take to end."""

CHILD = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from trainer.launch import serve; serve(*sys.argv[2:])"
)

PR_SET_PDEATHSIG = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Seat:
    """Which of the processes this one is."""

    rank: int
    """0 for the one whose points and result are passed on."""
    ranks: int
    meeting: Path
    """File through which they find each other (`file://`), in a folder of this launch's own: no port to race for."""


Work = Callable[[Seat, Progress], Any]
"""What each rank does; sent to it by pickle, and so are its result and what it raises."""


@dataclass(frozen=True, slots=True)
class Point:
    """Rank 0 reports progress, and waits for the answer."""

    step: int
    metrics: dict[str, float]


@dataclass(frozen=True, slots=True)
class Done:
    """A rank has finished."""

    result: Any


@dataclass(frozen=True, slots=True)
class Failed:
    """A rank raised."""

    error: Exception
    moment: float
    """Reading of the machine's monotonic clock: what the others raise because this rank is gone comes later."""


def run_ranks(work: Work, ranks: int, progress: Progress) -> Any:
    """Run `work` in `ranks` new processes and return what rank 0 returns.

    `progress` is called here with each point of rank 0, which waits until it returns. What it raises ends the ranks
    and passes through; so does what a rank raises, with a note that holds the rank's traceback. The ranks also end
    when this process dies, however it dies (on Linux at once). Raises RankLostError for a rank that died.
    """
    with TemporaryDirectory(prefix="ranks-") as folder, ExitStack() as ending:
        started: list[Rank] = []
        for number in range(ranks):
            rank = Rank(work, Seat(rank=number, ranks=ranks, meeting=Path(folder) / "meeting"))
            ending.callback(rank.end)
            started.append(rank)
        result = listen(started, progress)
        for rank in started:
            rank.join()
        return result


class Rank:
    """A process of the job, as its parent sees it."""

    def __init__(self, work: Work, seat: Seat) -> None:
        self.seat = seat
        order = pickle.dumps((work, seat))  # before there is a process to end
        self.connection, theirs = Pipe()
        arguments = [json.dumps(sys.path), str(theirs.fileno()), str(os.getpid())]
        with theirs:
            self.process = subprocess.Popen(  # noqa: S603 - this very interpreter and package
                [sys.executable, "-c", CHILD, *arguments], stdin=subprocess.DEVNULL, pass_fds=[theirs.fileno()]
            )
        with suppress(BrokenPipeError, ConnectionResetError):  # it died at once, which `hear` will tell
            self.connection.send_bytes(order)

    def hear(self) -> Point | Done | Failed | RankLostError:
        """Return the next thing it says; waits for it. RankLostError is returned, not raised, for one that died."""
        try:
            said: Point | Done | Failed = hear(self.connection)
        except (EOFError, ConnectionResetError):
            return RankLostError(self.obituary())
        return said

    def obituary(self) -> str:
        """Say how it died."""
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(PATIENCE_SECONDS)
        code = self.process.returncode
        how = f"was killed by {signal.Signals(-code).name}" if code and code < 0 else f"ended with exit code {code}"
        hint = " (out of memory?)" if code == -signal.SIGKILL else ""
        return (
            f"rank {self.seat.rank} of {self.seat.ranks} {how}{hint}; the other ranks were ended; "
            "started again, the trial goes on from its last checkpoint"
        )

    def join(self) -> None:
        """Give a process that has delivered its result time to end by itself."""
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(PATIENCE_SECONDS)

    def end(self) -> None:
        """Kill it, if it still runs: what it has written stands under its final name or not at all."""
        self.process.kill()
        self.process.wait()
        self.connection.close()


def say(connection: Connection, thing: Any) -> None:
    """Send by plain pickle: a connection's own would share a tensor's memory, which ends with its process."""
    connection.send_bytes(pickle.dumps(thing))


def hear(connection: Connection) -> Any:
    """Return the next thing that was said; waits for it. Raises EOFError when the other side is gone."""
    return pickle.loads(connection.recv_bytes())  # noqa: S301 - from our own child or parent


def listen(ranks: Sequence[Rank], progress: Progress) -> Any:
    """Pass on what rank 0 reports until all ranks are done; return its result, or raise what went wrong first."""
    busy = {rank.connection: rank for rank in ranks}
    result = None
    while busy:
        for connection in wait(list(busy)):
            rank = busy[connection]  # type: ignore[index]
            said = rank.hear()
            if isinstance(said, Point):
                progress(said.step, said.metrics)
                with suppress(BrokenPipeError, ConnectionResetError):
                    say(rank.connection, None)
                continue
            del busy[rank.connection]
            if not isinstance(said, Done):
                raise first_cause([said, *last_words(busy)])
            if rank.seat.rank == 0:
                result = said.result
    return result


def last_words(busy: dict[Connection, Rank]) -> list[Failed | RankLostError]:
    """Return what else went wrong shortly after the first failure."""
    heard: list[Failed | RankLostError] = []
    deadline = time.monotonic() + GRACE_SECONDS
    while busy and (ready := wait(list(busy), timeout=max(0.0, deadline - time.monotonic()))):
        for connection in ready:
            said = busy[connection].hear()  # type: ignore[index]
            if not isinstance(said, Point):
                del busy[connection]  # type: ignore[arg-type]
            if isinstance(said, (Failed, RankLostError)):
                heard.append(said)
    return heard


def first_cause(failures: Sequence[Failed | RankLostError]) -> Exception:
    """Return the failure that brought the others about: a death, else what was raised first."""
    for failure in failures:
        if isinstance(failure, RankLostError):
            return failure
    raised = [failure for failure in failures if isinstance(failure, Failed)]
    return min(raised, key=lambda failure: failure.moment).error


def serve(handle: str, parent: str) -> None:
    """Be a rank: the entry of the child process. `handle` is the file descriptor that leads to process `parent`."""
    os.set_inheritable(int(handle), False)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the parent too, which ends the ranks
    die_with(int(parent))
    with Connection(int(handle)) as connection:
        work, seat = hear(connection)

        def report(step: int, metrics: dict[str, float]) -> None:
            if seat.rank == 0:
                say(connection, Point(step, metrics))
                hear(connection)

        try:
            result = work(seat, report)
        except Exception as error:
            moment = time.monotonic()
            say(connection, Failed(portable(error, seat), moment))
            sys.exit(1)
        say(connection, Done(result))


def die_with(parent: int) -> None:
    """Let the kernel kill this process when its parent dies; elsewhere than on Linux it ends at its next report."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit(1)


def portable(error: Exception, seat: Seat) -> Exception:
    """Return `error`, or one of the same words where pickle cannot carry it, with its traceback as a note."""
    told = "".join(traceback.format_exception(error))
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes
    except Exception:
        error = RuntimeError(f"{type(error).__name__}: {error}")
    if not isinstance(error, TrainerError):
        error.add_note(f"on rank {seat.rank} of {seat.ranks}:\n{told}")
    return error
