"""FaultyServer: answers like an MLflow server with one experiment, unless it is told a fault."""

from __future__ import annotations

import http.server
import json
import socket
import ssl
import struct
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Self

EXPERIMENT = {"experiment": {"experiment_id": "7", "name": "contrast-sweep", "lifecycle_stage": "active"}}

Fault = Callable[["Handler"], None]


def status(code: int, body: str = "no") -> Fault:
    """An answer with this HTTP code."""
    return lambda handler: handler.answer(code, body.encode())


def half_body(handler: Handler) -> None:
    """An answer that ends before its announced length."""
    handler.answer(200, json.dumps(EXPERIMENT).encode()[:20], length=1000)
    handler.close_connection = True


def reset(handler: Handler) -> None:
    """A connection that is reset before the answer."""
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.connection.close()


def silence(handler: Handler) -> None:
    """No answer within two seconds."""
    time.sleep(2)


class Handler(http.server.BaseHTTPRequestHandler):
    """One request."""

    server: HttpServer

    def do_GET(self) -> None:
        if self.server.password and self.headers.get("Authorization") is None:
            self.answer(401, b"no")
        elif self.server.faults:
            self.server.faults.popleft()(self)
        elif self.server.fault is not None:
            self.server.fault(self)
        else:
            self.answer(200, json.dumps(EXPERIMENT).encode())

    do_POST = do_GET

    def answer(self, code: int, body: bytes, length: int | None = None) -> None:
        self.send_response(code)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


class HttpServer(http.server.ThreadingHTTPServer):
    """With what it does wrong."""

    fault: Fault | None = None
    """At each request."""
    faults: deque[Fault]
    """One at each of the next requests."""
    password = False

    def handle_error(self, *arguments: object) -> None:
        """Say nothing about a connection that a fault closed."""


class FaultyServer:
    """A server on a port of this machine; use it in a `with`."""

    def __init__(self, fault: Fault | None = None, *, port: int = 0, password: bool = False) -> None:
        self.http = HttpServer(("127.0.0.1", port), Handler)
        self.http.fault, self.http.password, self.http.faults = fault, password, deque()
        self.port = self.http.server_port
        self.uri = f"http://127.0.0.1:{self.port}"

    def with_certificate(self, certificate: Path, key: Path) -> Self:
        """Speak TLS."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        self.http.socket = context.wrap_socket(self.http.socket, server_side=True)
        self.uri = f"https://localhost:{self.port}"
        return self

    def __enter__(self) -> Self:
        threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, *arguments: object) -> None:
        self.http.shutdown()
        self.http.server_close()
