"""The tools of the chaos job do what they say: proxy, small disk, command below a shell, damage with its excuses."""

from __future__ import annotations

import errno
import http.client
import http.server
import json
import os
import random
import signal
import sys
import threading
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos.command import Command
from tests.chaos.damage import CutJournal, FlipJournal
from tests.chaos.evidence import read_trials
from tests.chaos.processes import catches
from tests.chaos.proxy import MISBEHAVIOURS, FaultyProxy
from tests.chaos.small_disk import SmallDisk
from tests.chaos.verifier import Excuses, missing_points


class Counting(http.server.BaseHTTPRequestHandler):
    """Counts the requests that it has carried out."""

    count = 0

    def do_POST(self) -> None:
        type(self).count += 1
        content = json.dumps(
            {"count": self.count, "got": self.rfile.read(int(self.headers["Content-Length"])).decode()}
        )
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content.encode())

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


@pytest.fixture
def proxy() -> Iterator[tuple[FaultyProxy, type[Counting]]]:
    """A proxy before a server, and that server's handler."""
    handler = type("Handler", (Counting,), {})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        proxy = FaultyProxy(server.server_port)
        yield proxy, handler
        proxy.close()
        server.shutdown()


def ask(proxy: FaultyProxy) -> tuple[int, bytes]:
    """Status and body of one request."""
    connection = http.client.HTTPConnection(proxy.uri.removeprefix("http://"), timeout=30)
    try:
        connection.request("POST", "/", b"hello")
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


@pytest.mark.parametrize(
    ("name", "status", "carried_out"), [("500", 500, 0), ("429", 429, 0), ("html", 200, 0), ("delay", 200, 1)]
)
def test_the_proxy_answers_as_told(name: str, status: int, carried_out: int, proxy, monkeypatch) -> None:
    monkeypatch.setattr("tests.chaos.proxy.DELAY_SECONDS", 0.05)
    proxy, handler = proxy
    proxy.misbehave(name, 1)
    assert ask(proxy)[0] == status
    assert handler.count == carried_out
    assert proxy.behaves
    assert json.loads(ask(proxy)[1]) == {"count": carried_out + 1, "got": "hello"}


@pytest.mark.parametrize(("name", "carried_out"), [("drop-before", 0), ("drop-after", 1), ("half", 1)])
def test_the_proxy_breaks_the_connection(name: str, carried_out: int, proxy) -> None:
    proxy, handler = proxy
    proxy.misbehave(name, 1)
    with pytest.raises((http.client.RemoteDisconnected, http.client.IncompleteRead)):
        ask(proxy)
    assert handler.count == carried_out
    assert set(MISBEHAVIOURS) == {"", "500", "429", "html", "delay", "drop-before", "drop-after", "half"}


def test_a_small_disk_has_no_room_until_it_is_relieved(tmp_path: Path) -> None:
    disk = SmallDisk(tmp_path / "disk", megabytes=1, files=50)
    if not disk.mounted:
        pytest.skip(f"no file system can be mounted: {disk.refusal}")
    try:
        for fill in (lambda: disk.fill(0), lambda: disk.fill_with_files(0)):
            fill()
            with pytest.raises(OSError, match="No space left") as raised:
                (tmp_path / "disk" / "file").write_bytes(b"x" * 5000)
            assert raised.value.errno == errno.ENOSPC
            disk.relieve()
            (tmp_path / "disk" / "file").write_bytes(b"x" * 5000)
            (tmp_path / "disk" / "file").unlink()
        (tmp_path / "disk" / "record").write_text("kept")
    finally:
        disk.close()
    assert not list((tmp_path / "disk").iterdir())
    assert (tmp_path / "disk-kept" / "record").read_text() == "kept"


@pytest.mark.parametrize(("code", "seen"), [("raise SystemExit(3)", 3), ("import os; os.kill(os.getpid(), 9)", None)])
def test_a_command_ends_with_the_code_of_its_driver(code: str, seen: int | None, tmp_path: Path) -> None:
    command = Command([sys.executable, "-c", f"input(); {code}"], tmp_path, os.environ, tmp_path / "output.txt")
    assert command.driver != command.shell.pid
    assert command.wait(30)  # there is nothing to read
    command.close()

    command = Command([sys.executable, "-c", code], tmp_path, os.environ, tmp_path / "output.txt")
    assert command.wait(30)
    assert command.exit_code == seen
    command.close()


def test_a_process_catches_the_signals_that_it_has_handlers_for(tmp_path: Path) -> None:
    code = "import signal; signal.signal(signal.SIGHUP, lambda *_: exit(5)); signal.pause()"
    command = Command([sys.executable, "-c", code], tmp_path, os.environ, tmp_path / "output.txt")
    deadline = time.monotonic() + 30
    while not catches(command.driver, signal.SIGHUP) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not catches(command.driver, signal.SIGQUIT)
    command.send(signal.SIGHUP)
    assert command.wait(30)
    assert command.exit_code == 5
    command.close()
    assert not catches(command.driver, signal.SIGHUP)


def test_a_command_outlives_its_shell(tmp_path: Path) -> None:
    wait = "import time; time.sleep(600)"
    command = Command([sys.executable, "-c", wait], tmp_path, os.environ, tmp_path / "output.txt")
    command.shell.kill()
    command.shell.wait()
    time.sleep(0.1)
    assert not command.ended
    command.send(signal.SIGTERM)
    assert command.wait(30)
    assert command.exit_code is None
    command.close()


@pytest.mark.parametrize("damage", [CutJournal(), FlipJournal()])
def test_exactly_the_points_that_were_damaged_are_excused(damage, tmp_path: Path) -> None:
    folder = tmp_path / "trials" / "abc"
    folder.mkdir(parents=True)
    lines = []
    for step in (10, 20, 30):
        body = json.dumps({"step": step, "metrics": {"train/loss": 1 / step}, "time": 1.0, "attempt": 1}).encode()[:-1]
        lines.append(body + f', "check": "{zlib.crc32(body):08x}"}}\n'.encode())
    expected = [("train/loss", step) for step in (10, 20, 30)]
    for seed in range(40):
        (folder / "points.jsonl").write_bytes(b"".join(lines))
        excuses = Excuses()
        damage.do(tmp_path, excuses, random.Random(seed))
        trial = read_trials(tmp_path)["abc"]
        excused = {step for _, step in excuses.steps}
        assert excused
        held = list(trial.points.get(1, ()))
        assert trial.broken_lines <= excuses.lines["abc"]
        assert not list(missing_points("abc", expected, held, excused))
        assert {step for _, step in held} == {10, 20, 30} - excused
