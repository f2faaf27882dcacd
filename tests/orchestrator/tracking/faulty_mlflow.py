"""FaultyMlflow: a real MLflow server in this process, with faults between it and its clients."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Self

import pytest
from werkzeug.serving import make_server

__all__ = ["FaultyMlflow", "answer", "cut", "dropped_after", "dropped_before"]

Start = Callable[..., object]
App = Callable[[dict[str, Any], Start], Iterable[bytes]]
Fault = Callable[[App, dict[str, Any], Start], Iterable[bytes]]


def answer(status: str, body: bytes = b"<html>") -> Fault:
    """Another answer than MLflow's, which never sees the request."""

    def give(app: App, environ: dict[str, Any], start: Start) -> Iterable[bytes]:
        start(status, [("Content-Type", "text/html"), ("Content-Length", str(len(body)))])
        return [body]

    return give


def dropped_before(app: App, environ: dict[str, Any], start: Start) -> Iterable[bytes]:
    """The connection breaks before MLflow sees the request."""
    environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
    return answer("500 gone")(app, environ, start)


def dropped_after(app: App, environ: dict[str, Any], start: Start) -> Iterable[bytes]:
    """MLflow does what was asked, and the connection breaks before its answer."""
    b"".join(app(environ, lambda *given: None))
    return dropped_before(app, environ, start)


def cut(app: App, environ: dict[str, Any], start: Start) -> Iterable[bytes]:
    """MLflow does what was asked, and half of the answer arrives."""
    told: list[Any] = []
    body = b"".join(app(environ, lambda *given: told.append(given)))
    start(told[0][0], [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body[: len(body) // 2]]


class FaultyMlflow:
    """Serves the database `path`; before each request it asks `fault(method, path)` for a fault. Use it in a `with`."""

    def __init__(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        from mlflow.server import app, handlers

        monkeypatch.setenv("_MLFLOW_SERVER_FILE_STORE", f"sqlite:///{path}")
        monkeypatch.setenv("_MLFLOW_SERVER_ARTIFACT_ROOT", str(path.parent / "artifacts"))
        monkeypatch.setattr(handlers, "_tracking_store", None)
        self.app = app
        self.fault: Callable[[str, str], Fault | None] = lambda method, path: None
        self.requests: list[str] = []
        self.server = make_server("127.0.0.1", 0, self.serve, threaded=True)
        self.uri = f"http://127.0.0.1:{self.server.server_port}"

    def serve(self, environ: dict[str, Any], start: Start) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        self.requests.append(path)
        found = self.fault(environ["REQUEST_METHOD"], path)
        return self.app(environ, start) if found is None else found(self.app, environ, start)

    def __enter__(self) -> Self:
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, *arguments: object) -> None:
        self.server.shutdown()
        self.server.server_close()
