"""Runs a function in several processes of this machine; if one fails, all of them end.

It does not depend on training or torch. The ranks are plain child processes instead of `multiprocessing` ones, so that
the caller can be a script without a `__main__` guard, a notebook, or a daemonic process.
"""

from __future__ import annotations

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
from typing import Any

from orchestrator.machine.own_folder import temporary_folder
from orchestrator.machine.parent_process import end_with_parent
from orchestrator.plugins.error import PluginError
from orchestrator.plugins.loading import place_in_plugin
from trainer.errors import RankLostError, TrainerError

__all__ = ["Progress", "RankFunction", "RankInfo", "run_rank", "run_ranks"]

Progress = Callable[[int, dict[str, float]], None]
"""Called with the number of completed steps and the metrics measured there."""

GRACE_SECONDS = 1.0
"""Time to wait for other failures after the first, because one of them may be the cause."""

EXIT_SECONDS = 20.0
"""Time for a rank to exit after its last message."""

CHILD = "import json, sys; sys.path[:] = json.loads(sys.argv[1]); import trainer.launch as l; l.run_rank(*sys.argv[2:])"


@dataclass(frozen=True, kw_only=True, slots=True)
class RankInfo:
    """The identity of one of the processes."""

    rank: int
    """0 for the rank whose progress and result reach the caller."""
    ranks: int
    rendezvous: Path
    """File for torch's `file://` rendezvous in a temporary folder; unlike a port, no other process can take it."""


RankFunction = Callable[[RankInfo, Progress], Any]
"""The function that each rank runs. It, its result and its exceptions are pickled."""


@dataclass(frozen=True, slots=True)
class Report:
    """Progress of rank 0, which waits for a reply."""

    step: int
    metrics: dict[str, float]


@dataclass(frozen=True, slots=True)
class Done:
    """A rank has returned."""

    result: Any


@dataclass(frozen=True, slots=True)
class Failed:
    """A rank has raised."""

    error: Exception
    moment: float
    """Monotonic clock of the machine. Errors that the other ranks raise because this one is gone come later."""


def run_ranks(work: RankFunction, ranks: int, progress: Progress) -> Any:
    """Run `work` in `ranks` new processes and return the result of rank 0.

    `progress` is called in this process with each report of rank 0, which waits until it returns. An exception of
    `progress` ends the ranks and propagates; so does an exception of a rank, with the rank's traceback as a note. The
    ranks also end if this process dies for any reason (on Linux at once). Raises RankLostError for a rank that died.
    """
    with temporary_folder("ranks") as folder, ExitStack() as ending:
        started: list[Rank] = []
        for number in range(ranks):
            rank = Rank(work, RankInfo(rank=number, ranks=ranks, rendezvous=folder / "rendezvous"))
            ending.callback(rank.end)
            started.append(rank)
        result = collect(started, progress)
        for rank in started:
            rank.join()
        return result


class Rank:
    """The parent's handle of one process."""

    def __init__(self, work: RankFunction, info: RankInfo) -> None:
        self.info = info
        message = pickle.dumps((work, info))  # may raise, so before the process starts
        self.connection, theirs = Pipe()
        arguments = [json.dumps(sys.path), str(theirs.fileno()), str(os.getpid())]
        with theirs:
            self.process = subprocess.Popen(  # noqa: S603 - this very interpreter and package
                [sys.executable, "-c", CHILD, *arguments], stdin=subprocess.DEVNULL, pass_fds=[theirs.fileno()]
            )
        with suppress(BrokenPipeError, ConnectionResetError):  # died at once; `receive` reports it
            self.connection.send_bytes(message)

    def receive(self) -> Report | Done | Failed | RankLostError:
        """Wait for its next message. For a process that died, RankLostError is returned, not raised."""
        try:
            message: Report | Done | Failed = receive(self.connection)
        except (EOFError, ConnectionResetError):
            return RankLostError(self.describe_death())
        return message

    def describe_death(self) -> str:
        """Describe how it died."""
        self.join()
        code = self.process.returncode
        how = f"was killed by {signal.Signals(-code).name}" if code and code < 0 else f"ended with exit code {code}"
        hint = " (out of memory?)" if code == -signal.SIGKILL else ""
        return (
            f"rank {self.info.rank} of {self.info.ranks} {how}{hint}; the other ranks were stopped; "
            "run the trial again to resume it from its last checkpoint"
        )

    def join(self) -> None:
        """Give the process time to exit by itself."""
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(EXIT_SECONDS)

    def end(self) -> None:
        """Kill the process if it still runs; its files are complete or absent, because they are written by rename."""
        self.process.kill()
        self.process.wait()
        self.connection.close()


def send(connection: Connection, message: Any) -> None:
    """Send a plain pickle: `Connection.send` would share a tensor's memory, which ends with its process."""
    connection.send_bytes(pickle.dumps(message))


def receive(connection: Connection) -> Any:
    """Wait for the next message. Raises EOFError if the other side is gone."""
    return pickle.loads(connection.recv_bytes())  # noqa: S301 - from our own child or parent


def collect(ranks: Sequence[Rank], progress: Progress) -> Any:
    """Forward the reports of rank 0 until all ranks are done; return its result, or raise the first failure."""
    busy = {rank.connection: rank for rank in ranks}
    result = None
    while busy:
        for connection in wait(list(busy)):
            rank = busy[connection]  # type: ignore[index]
            message = rank.receive()
            if isinstance(message, Report):
                progress(message.step, message.metrics)
                with suppress(BrokenPipeError, ConnectionResetError):
                    send(rank.connection, None)
                continue
            del busy[rank.connection]
            if not isinstance(message, Done):
                raise first_cause([message, *later_failures(busy)])
            if rank.info.rank == 0:
                result = message.result
    return result


def later_failures(busy: dict[Connection, Rank]) -> list[Failed | RankLostError]:
    """Other failures shortly after the first."""
    heard: list[Failed | RankLostError] = []
    deadline = time.monotonic() + GRACE_SECONDS
    while busy and (ready := wait(list(busy), timeout=max(0.0, deadline - time.monotonic()))):
        for connection in ready:
            message = busy[connection].receive()  # type: ignore[index]
            if not isinstance(message, Report):
                del busy[connection]  # type: ignore[arg-type]
            if isinstance(message, (Failed, RankLostError)):
                heard.append(message)
    return heard


def first_cause(failures: Sequence[Failed | RankLostError]) -> Exception:
    """The failure that caused the others: a process that died, else the earliest exception."""
    lost = [failure for failure in failures if isinstance(failure, RankLostError)]
    raised = [failure for failure in failures if isinstance(failure, Failed)]
    return lost[0] if lost else min(raised, key=lambda failure: failure.moment).error


def run_rank(handle: str, parent: str) -> None:
    """Entry point of a child process; `handle` is the file descriptor of the connection to process `parent`."""
    os.set_inheritable(int(handle), False)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C also reaches the parent, which ends the ranks
    end_with_parent(int(parent))
    with Connection(int(handle)) as connection:
        work, info = receive(connection)

        def report(step: int, metrics: dict[str, float]) -> None:
            if info.rank == 0:
                send(connection, Report(step, metrics))
                receive(connection)

        try:
            result = work(info, report)
        except Exception as error:
            moment = time.monotonic()
            send(connection, Failed(picklable(error, info), moment))
            sys.exit(1)
        send(connection, Done(result))


def picklable(error: Exception, info: RankInfo) -> Exception:
    """`error`, or a RuntimeError with its text if it cannot be pickled, with its traceback as a note."""
    lines, place = "".join(traceback.format_exception(error)), place_in_plugin(error)
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes
    except Exception:
        error = RuntimeError(f"{type(error).__name__}: {error}")
    if place:
        error.place_in_plugin = place  # type: ignore[attr-defined] # its traceback stays here
    if not isinstance(error, (TrainerError, PluginError)):
        error.add_note(f"on rank {info.rank} of {info.ranks}:\n{lines}")
    return error
