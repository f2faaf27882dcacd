"""MLflow's pages: on the right store, on this machine, and gone with all their processes when asked to."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from orchestrator.commands import ui
from orchestrator.interrupts import ENDING, INTERRUPTED
from orchestrator.tracking.mlflow_store import Server
from tests.processes import is_alive

PROJECT = Path(__file__).resolve().parents[3]


class FakeServer:
    """Stands for the server's process."""

    started: list[list[str]]
    store: str
    code: int

    def __init__(self, command: list[str], *, env: dict[str, str], start_new_session: bool) -> None:
        assert start_new_session
        type(self).started.append(command)
        type(self).store = env["MLFLOW_BACKEND_STORE_URI"]
        self.pid = 2**22 + 1  # of nobody

    def __enter__(self) -> FakeServer:
        return self

    def __exit__(self, *arguments: object) -> None:
        return None

    def wait(self, timeout: float | None = None) -> int:
        return type(self).code


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> type[FakeServer]:
    monkeypatch.setattr(ui.subprocess, "Popen", FakeServer)
    monkeypatch.setattr(ui, "page_of", lambda store, sweep=None: f"page of {sweep or store}")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    FakeServer.started, FakeServer.code = [], 0
    return FakeServer


def test_the_store_of_the_current_folder_is_served_on_the_loopback(server: type[FakeServer], capsys: Any) -> None:
    assert ui.serve(None) == 0
    ((python, *command),) = server.started
    port = command[-1]
    assert python == sys.executable
    assert " ".join(command) == f"-P -m mlflow ui --host 127.0.0.1 --port {port}"
    assert server.store == "sqlite:///mlflow.db"
    expected = f"MLflow: http://127.0.0.1:{port}/page of sqlite:///mlflow.db (Ctrl-C ends it)\n"
    assert capsys.readouterr().out == expected


def test_the_exit_code_is_the_servers_and_the_port_as_asked(server: type[FakeServer]) -> None:
    server.code = 3
    assert ui.serve("sqlite:///other.db", port=5001) == 3
    assert server.started[0][-1] == "5001"


MLFLOW = """
import os, signal, subprocess, sys, time

if "worker" in sys.argv:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
else:
    worker = subprocess.Popen([sys.executable, __file__, "worker"])
    with open("pids.partial", "w") as file:
        file.write(f"{os.getpid()} {worker.pid}")
    os.replace("pids.partial", "pids")
time.sleep(600)
"""
"""Stands for MLflow: a server with a worker that does not hear SIGTERM."""


HEARING = """
import signal, sys
from orchestrator import __main__
from orchestrator.commands import ui

for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGQUIT):
    signal.signal(number, signal.SIG_DFL)
ui.page_of = lambda store, sweep: ""
sys.exit(__main__.main(sys.argv[1:]))
"""
"""Runs our command as a terminal does, also where the tests run under nohup."""


@pytest.mark.parametrize("number", ENDING)
def test_the_server_ends_with_its_workers(tmp_path: Path, number: signal.Signals) -> None:
    (tmp_path / "mlflow").mkdir()
    (tmp_path / "mlflow" / "__init__.py").touch()
    (tmp_path / "mlflow" / "__main__.py").write_text(MLFLOW, encoding="utf-8")
    environment = os.environ | {"PYTHONPATH": f"{tmp_path}{os.pathsep}{PROJECT}"}
    command = [sys.executable, "-c", HEARING, "ui", "--tracking-uri", "sqlite:///none.db"]
    with subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE) as process:
        pids = tmp_path / "pids"
        until(pids.exists)
        server, worker = (int(text) for text in pids.read_text().split())
        assert is_alive(server)
        assert is_alive(worker)
        process.send_signal(number)
        assert process.wait(30) == INTERRUPTED
    assert not is_alive(server)
    until(lambda: not is_alive(worker))


def until(condition: Callable[[], bool]) -> None:
    """Wait for it, a bounded time."""
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_the_page_is_the_list_of_our_runs(tmp_path: Path, migrated: Path) -> None:
    shutil.copy(migrated, tmp_path / "mlflow.db")
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    assert ui.page_of(uri) == "", "no sweep yet"
    experiment = Server(uri).experiment
    assert ui.page_of(uri) == f"#/experiments/{experiment}/runs?workflowType=machine_learning"
    listed = f"#/experiments/{experiment}/runs?workflowType=machine_learning&searchFilter=tags.sweep%20%3D%20%27tiny%27"
    assert ui.page_of(uri, "tiny").startswith(listed), "a sweep without view"


def test_a_server_that_is_there_is_named_without_its_password(server: type[FakeServer], capsys: Any) -> None:
    assert ui.serve("https://me:secret@mlflow.example.org/path") == 0
    assert capsys.readouterr().out == "MLflow is served at https://mlflow.example.org/path already\n"
    assert ui.serve("https://me:secret@mlflow.example.org/path", sweep="tiny") == 0
    assert capsys.readouterr().out.endswith("\ntiny: https://mlflow.example.org/path/page of tiny\n")
    assert server.started == []


def test_a_free_port_is_the_wanted_one_unless_it_is_in_use() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        used = probe.getsockname()[1]
        assert ui.free_port(used) != used
    assert ui.free_port(used) == used
