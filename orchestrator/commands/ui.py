"""ui: serves MLflow's pages for the database that sweeps write to, on this machine only."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from orchestrator.errors import BlockedError, TrackingError
from orchestrator.interrupts import INTERRUPTED, interruptible
from orchestrator.redaction import without_password
from orchestrator.tracking.saved_view import TAG, runs_of_sweep, view_key
from orchestrator.tracking.uri import UI_PORT, runs_page, sweep_link, tracking_uri_of

__all__ = ["free_port", "page_of", "serve"]

GRACE_SECONDS = 5.0
"""How long the server may take to end after SIGTERM."""


def serve(uri: str | None, port: int = 0, sweep: str | None = None) -> int:
    """Run a server until it ends or this process is asked to end; returns the exit code.

    Prints the address of `sweep`, or of the list of runs. Where `uri` is a server already, only that is printed.
    """
    store = tracking_uri_of(uri)
    if store.startswith(("http://", "https://")):
        print(f"MLflow is served at {without_password(store)} already")
        if sweep is not None:
            print(f"{sweep}: {sweep_link(store, page_of(store, sweep))}")
        return 0
    port = port or free_port(UI_PORT)
    print(f"MLflow: http://127.0.0.1:{port}/{page_of(store, sweep)} (Ctrl-C ends it)", flush=True)
    command = [sys.executable, "-P", "-m", "mlflow", "ui", "--host", "127.0.0.1", "--port", str(port)]
    with suppress(KeyboardInterrupt), interruptible(), running(command, store) as server:
        return server.wait()
    return INTERRUPTED


def page_of(store: str, sweep: str | None = None) -> str:
    """Path of MLflow's list of the runs of `sweep`, in its saved view if it has one, or of all; empty without any."""
    from orchestrator.tracking.mlflow_store import Server

    try:
        server = Server(store, create=False)
    except TrackingError as error:
        if isinstance(error, BlockedError) and error.kind != "trash":  # MLflow would not start, or show a traceback
            raise
        return ""
    if sweep is None:
        return runs_page(server.experiment)
    if TAG + view_key(sweep) in server.experiment_tags:
        return runs_page(server.experiment, viewStateShareKey=view_key(sweep))
    return runs_page(server.experiment, searchFilter=runs_of_sweep(sweep))


@contextmanager
def running(command: list[str], store: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server for `store` in its own process group; all members (MLflow starts workers) end with the body.

    The address may hold a password, and everybody can read a command line.
    """
    environment = {**os.environ, "MLFLOW_BACKEND_STORE_URI": store}
    with subprocess.Popen(command, env=environment, start_new_session=True) as process:  # noqa: S603 - fixed arguments
        try:
            yield process
        finally:
            end_group(process)


def end_group(process: subprocess.Popen[bytes]) -> None:
    """Send SIGTERM to a process and its group, and SIGKILL after `GRACE_SECONDS` or a second Ctrl-C."""
    try:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(GRACE_SECONDS)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def free_port(wanted: int = 0) -> int:
    """A port of this machine that is not in use, `wanted` if possible."""
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", wanted))
        except OSError:
            probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
