"""The process of a trial, from the fork to its end."""

from __future__ import annotations

import json
import logging
import os
import pickle
import sys
import traceback
from contextlib import suppress
from dataclasses import asdict
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NoReturn

from orchestrator.machine.parent_process import end_with_parent
from orchestrator.machine.process_name import name_process
from orchestrator.running.fork_server.request import CONTINUE, DIED, POINT, RECORD, TrialRequest
from orchestrator.running.task import StopTrial, Task, Work
from orchestrator.store.attempt_record import Point, State

__all__ = ["become_trial"]

FIRST_TO_END = "1000"
"""For the kernel: when memory is short, a trial ends before anything else, as Ray's own workers do."""


def become_trial(request: TrialRequest, reports: int, output: int, server: int) -> NoReturn:
    """In the forked child: do the work, report over the descriptor `reports`, and end the process.

    `output`: descriptor for what it prints; `server`: the process id of the parent, with which it ends.
    """
    code = 1
    try:
        end_with_parent(server)
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.close(output)
        with Connection(reports) as connection:
            code = run(request, connection)
    except SystemExit as ending:
        code = ending.code if isinstance(ending.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        with suppress(Exception):
            logging.shutdown()
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)  # what its threads and children still do is of no use


def run(request: TrialRequest, connection: Connection) -> int:
    """Do the work; returns the exit code."""

    def report(point: Point) -> None:
        send(connection, {POINT: asdict(point)})
        if connection.recv_bytes() != CONTINUE:
            raise StopTrial(State.STOPPED)

    try:
        be_new(request)
        work: Work = pickle.loads(request.work)  # noqa: S301 - pickled by our own driver
        task: Task = pickle.loads(request.task)  # noqa: S301
        name_process(f"trial {task.trial_id}")
        record = work(task, report)
    except (EOFError, ConnectionError, StopTrial):
        return 1  # the client is gone, or has stopped work that does not catch it
    except Exception as error:
        return died(connection, error)
    send(connection, {RECORD: record.to_json()})
    return 0


def died(connection: Connection, error: Exception) -> int:
    """Send why there is no record; returns the exit code."""
    traceback.print_exception(error)
    send(connection, {DIED: f"{type(error).__name__}: {error}"})
    return 1


def send(connection: Connection, message: dict[str, Any]) -> None:
    """Send a message as JSON; one to a client that is gone is lost, and the server ends this process."""
    with suppress(ConnectionError):
        connection.send_bytes(json.dumps(message).encode())


def be_new(request: TrialRequest) -> None:
    """Be as a process that was started with the request's environment, and not as a copy of the server."""
    os.environ.clear()
    os.environ.update(request.environment)
    if request.umask is not None:
        os.umask(request.umask)
    with suppress(OSError):
        os.chdir(request.folder)
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(FIRST_TO_END, encoding="ascii")
    numpy: Any = sys.modules.get("numpy")
    if numpy is not None:
        numpy.random.seed()  # every copy of the server has its state; Python's own generator takes care of itself
