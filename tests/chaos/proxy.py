"""FaultyProxy: stands before an HTTP server and, while told to, answers as bad networks and servers do."""

from __future__ import annotations

import http.client
import http.server
import threading
import time
from collections.abc import Callable

__all__ = ["MISBEHAVIOURS", "FaultyProxy"]

DELAY_SECONDS = 3.0
PAGE = b"<!doctype html><html><body>Please log in</body></html>"

Answer = tuple[int, dict[str, str], bytes]


class Handler(http.server.BaseHTTPRequestHandler):
    """Carries requests to the server behind the proxy."""

    protocol_version = "HTTP/1.1"
    proxy: FaultyProxy

    def carry(self) -> None:
        """Answer a request, well or badly."""
        size = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(size)
        MISBEHAVIOURS[self.proxy.next_misbehaviour()](self, body)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = carry

    def ask(self, body: bytes) -> Answer:
        """The server's answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.proxy.port_behind, timeout=60)
        headers = {key: value for key, value in self.headers.items() if key.lower() not in ("host", "connection")}
        try:
            connection.request(self.command, self.path, body, headers)
            response = connection.getresponse()
            kept = ("content-type", "retry-after", "location")
            return (
                response.status,
                {key: value for key, value in response.getheaders() if key.lower() in kept},
                response.read(),
            )
        except OSError as error:
            return 502, {}, str(error).encode()
        finally:
            connection.close()

    def answer(self, answer: Answer, *, sent_bytes: int | None = None) -> None:
        """Send an answer, or its beginning, and close the connection."""
        status, headers, body = answer
        self.send_response(status)
        for key, value in (headers | {"Content-Length": str(len(body)), "Connection": "close"}).items():
            self.send_header(key, value)
        self.end_headers()
        self.wfile.write(body if sent_bytes is None else body[:sent_bytes])
        self.close_connection = True

    def answer_well(self, body: bytes) -> None:
        """Be a proxy."""
        self.answer(self.ask(body))

    def answer_late(self, body: bytes) -> None:
        """Take seconds."""
        time.sleep(DELAY_SECONDS)
        self.answer_well(body)

    def fail(self, body: bytes) -> None:
        """A server that has broken down."""
        self.answer((500, {"Content-Type": "text/plain"}, b"Internal Server Error"))

    def refuse(self, body: bytes) -> None:
        """A server with too much to do."""
        self.answer((429, {"Content-Type": "text/plain", "Retry-After": "1"}, b"Too Many Requests"))

    def answer_with_page(self, body: bytes) -> None:
        """A network that wants a login."""
        self.answer((200, {"Content-Type": "text/html"}, PAGE))

    def answer_in_part(self, body: bytes) -> None:
        """A connection that breaks in the middle of the answer."""
        answer = self.ask(body)
        self.answer(answer, sent_bytes=len(answer[2]) // 2)

    def drop_before(self, body: bytes) -> None:
        """A connection that breaks before the server has the request."""
        self.close_connection = True

    def drop_after(self, body: bytes) -> None:
        """A connection that breaks after the server has done what was asked."""
        self.ask(body)
        self.close_connection = True

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


MISBEHAVIOURS: dict[str, Callable[[Handler, bytes], None]] = {
    "": Handler.answer_well,
    "delay": Handler.answer_late,
    "500": Handler.fail,
    "429": Handler.refuse,
    "html": Handler.answer_with_page,
    "half": Handler.answer_in_part,
    "drop-before": Handler.drop_before,
    "drop-after": Handler.drop_after,
}


class QuietServer(http.server.ThreadingHTTPServer):
    """A server that does not complain about clients that were killed."""

    daemon_threads = True

    def handle_error(self, *arguments: object) -> None:
        """Say nothing."""


class FaultyProxy:
    """A proxy before the server at a port of this machine."""

    def __init__(self, port_behind: int) -> None:
        self.port_behind = port_behind
        self.lock = threading.Lock()
        self.misbehaviour, self.requests = "", 0
        self.server = QuietServer(("127.0.0.1", 0), type("BoundHandler", (Handler,), {"proxy": self}))
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def uri(self) -> str:
        """Address of the proxy."""
        return f"http://127.0.0.1:{self.server.server_port}"

    def misbehave(self, name: str, requests: int) -> None:
        """Answer the next requests badly."""
        with self.lock:
            self.misbehaviour, self.requests = name, requests

    def next_misbehaviour(self) -> str:
        """How to answer the request that has just come."""
        with self.lock:
            self.requests -= 1
            return self.misbehaviour if self.requests >= 0 else ""

    @property
    def behaves(self) -> bool:
        """Whether all requests that were to be answered badly have been."""
        with self.lock:
            return self.requests <= 0

    def close(self) -> None:
        """End."""
        self.server.shutdown()
        self.server.server_close()
