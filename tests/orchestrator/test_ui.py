"""MLflow's pages: on the right store, on this machine, and ended by Ctrl-C."""

from __future__ import annotations

import socket
import sys
from typing import Any

import pytest

from orchestrator import ui


class Server:
    """Stands for the server's process."""

    started: list[list[str]]
    ends: list[BaseException | int]
    terminated: bool

    def __init__(self, command: list[str]) -> None:
        type(self).started.append(command)

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *arguments: object) -> None:
        return None

    def wait(self) -> int:
        ending = type(self).ends.pop(0)
        if isinstance(ending, BaseException):
            raise ending
        return ending

    def terminate(self) -> None:
        type(self).terminated = True


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> type[Server]:
    monkeypatch.setattr(ui.subprocess, "Popen", Server)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    Server.started, Server.ends, Server.terminated = [], [0], False
    return Server


def test_the_store_of_the_current_folder_is_served_on_the_loopback(server: type[Server], capsys: Any) -> None:
    assert ui.serve(None) == 0
    ((python, *command),) = server.started
    port = command[-1]
    assert python == sys.executable
    assert " ".join(command) == (f"-m mlflow ui --backend-store-uri sqlite:///mlflow.db --host 127.0.0.1 --port {port}")
    assert capsys.readouterr().out == f"MLflow: http://127.0.0.1:{port} (Ctrl-C ends it)\n"


def test_the_exit_code_is_the_servers_and_the_port_as_asked(server: type[Server]) -> None:
    server.ends = [3]
    assert ui.serve("sqlite:///other.db", port=5001) == 3
    assert server.started[0][-1] == "5001"


def test_ctrl_c_ends_the_server(server: type[Server]) -> None:
    server.ends = [KeyboardInterrupt()]
    assert ui.serve(None) == 0
    assert server.terminated


def test_a_server_that_is_there_is_named_without_its_password(server: type[Server], capsys: Any) -> None:
    assert ui.serve("https://me:secret@mlflow.example.org/path") == 0
    assert capsys.readouterr().out == "MLflow is served at https://mlflow.example.org/path already\n"
    assert server.started == []


def test_a_free_port_is_free() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", ui.free_port()))
