"""Each signal to each command in the middle of its work, and while a server does not answer. They take 20 seconds.

What ends a sweep is in `tests/orchestrator/test_signals.py`; the server of `ui` is in `test_ui.py`.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

from orchestrator.machine.own_folder import MARK, temporary_root
from orchestrator.store.attempt_record import AttemptRecord
from orchestrator.store.backends.base import SCRATCH_FOLDER
from orchestrator.store.record_store import RecordStore
from orchestrator.store.sweep_record import SweepRecord
from tests.end_to_end.conftest import write_tiny
from tests.orchestrator.commands.command_server import Command, CommandServer
from tests.processes import is_alive

LIMIT_SECONDS = 60
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
CONFIG = {"contrast.source": "none", "schedule.steps": 100, "seed": 0}

WORKING = {
    "status tiny.yaml": "orchestrator.commands.show_status:read_status",
    "why tiny.yaml": "orchestrator.commands.why:describe_reasons",
    "verify": "orchestrator.commands.verify:verify_trial",
    "clean --yes": "orchestrator.store.record_store:RecordStore.clean",
    "export tiny.yaml tiny.zip": "orchestrator.store.archive.exporting:write_archive",
    "sync": "orchestrator.commands.sync:write_tables",
    "ui": "orchestrator.commands.ui:page_of",
    "doctor": "pathlib:Path.hardlink_to",
    "reports tiny.yaml": "orchestrator.machine.atomic_file:write_file",
}
"""A command, and the function in which it is interrupted: some hold the lock, or have temporary files then."""

STORE, TRACKING = "--run-dir s3://bucket/runs", "--tracking-uri {address}"
WAITING = (
    f"status tiny.yaml {STORE}",
    f"why tiny.yaml {STORE}",
    f"verify {STORE}",
    f"export tiny.yaml tiny.zip {STORE}",
    f"clean {STORE}",
    f"sync {STORE}",
    f"doctor {STORE}",
    f"reports tiny.yaml {STORE}",
    f"sync {TRACKING}",
    f"sync --check {TRACKING}",
    f"doctor {TRACKING}",
    f"reports tiny.yaml --from mlflow {TRACKING}",
)
"""Commands that wait for the answer of an object store or of MLflow."""


@pytest.fixture(scope="module")
def commands() -> Iterator[CommandServer]:
    server = CommandServer()
    yield server
    server.close()


@pytest.fixture
def folder(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    sweep: SweepRecord,
    make_record: Callable[..., AttemptRecord],
    migrated: Path,
) -> Path:
    """The current folder of the command: a search space, a run directory with a trial to clean up, and a database."""
    monkeypatch.chdir(tmp_path)
    write_tiny(tmp_path)
    shutil.copy(migrated, tmp_path / "mlflow.db")
    (tmp_path / "tmp").mkdir()
    store = RecordStore("runs")
    store.write_sweep(sweep)
    for trial_id in (*sweep.trial_ids, "old"):
        store.start(trial_id, 1, CONFIG, time=100.0)
        store.end(make_record(trial_id, final__miou=0.5))
    return tmp_path


def in_turn(texts: Iterable[str]) -> list[tuple[str, signal.Signals]]:
    """Each command with one of the signals, which share their handler, and the first with all of them."""
    first, *others = texts
    return [(first, number) for number in SIGNALS] + [(text, SIGNALS[i % 3]) for i, text in enumerate(others)]


def environment(folder: Path, endpoint: str = "") -> dict[str, str]:
    """Temporary files in the folder of the test, and an object store at `endpoint`."""
    return {
        "HOME": str(folder),
        "TMPDIR": str(folder / "tmp"),
        SCRATCH_FOLDER: str(folder / "tmp"),
        "MLFLOW_TRACKING_URI": f"sqlite:///{folder / 'mlflow.db'}",
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "somebody",
        "AWS_SECRET_ACCESS_KEY": "verysecret",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def words(text: str, address: str = "") -> list[str]:
    """The package and its arguments."""
    arguments = text.format(address=address).split()
    return arguments if arguments[0] == "reports" else ["orchestrator", *arguments]


@pytest.mark.parametrize(("text", "number"), in_turn(WORKING))
def test_a_signal_ends_a_command_at_work(
    text: str, number: signal.Signals, folder: Path, commands: CommandServer
) -> None:
    with commands.start(words(text), folder, environment(folder), blocked=WORKING[text]) as command:
        until((folder / "blocked").exists, command)
        check_end(command, number, folder)
    with RecordStore("runs").lock():
        pass  # nobody holds it


@pytest.mark.parametrize(("text", "number"), in_turn(WAITING))
def test_a_signal_ends_a_command_that_waits_for_an_answer(
    text: str, number: signal.Signals, folder: Path, commands: CommandServer
) -> None:
    pytest.importorskip("s3fs", reason="s3fs is not installed: no object store to wait for")
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(LIMIT_SECONDS)
        address = f"http://127.0.0.1:{server.getsockname()[1]}"
        with commands.start(words(text, address), folder, environment(folder, address)) as command:
            connection, _ = server.accept()
            assert connection.recv(1), "a request"
            check_end(command, number, folder)
            connection.close()


def until(happened: Callable[[], bool], command: Command) -> None:
    """Wait for it while the command lives, a bounded time."""
    deadline = time.monotonic() + LIMIT_SECONDS
    while not happened():
        assert is_alive(command.pid), command.errors()
        assert time.monotonic() < deadline
        time.sleep(0.01)


def check_end(command: Command, number: signal.Signals, folder: Path) -> None:
    """A signal ends the command with one line and the exit code; it leaves no process and no temporary file."""
    os.kill(command.pid, number)
    assert command.wait() == 130
    assert command.errors() == "interrupted; run the same command again\n"
    assert processes_of_session(command.pid) == []
    assert list(folder.rglob("*.partial")) == []
    assert list(folder.rglob(".contrast-doctor*")) == []
    own = folder / "tmp" / temporary_root().name
    assert {path.name for path in own.iterdir()} <= {MARK} if own.exists() else True


def processes_of_session(session: int) -> list[str]:
    """Command lines of the processes that a command has left."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            state, _, _, its_session = (entry / "stat").read_text().rpartition(")")[2].split()[:4]
            if int(its_session) == session and state != "Z":
                found.append((entry / "cmdline").read_text())
        except OSError:
            continue
    return found
