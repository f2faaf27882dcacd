"""MLflow over HTTP: killed and started again in mid-sweep, killed for good, and with credentials nobody may see."""

import base64
import http.server
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from statistics import median

import pytest

from orchestrator.__main__ import main as orchestrator
from orchestrator.api import RunOptions, SweepOutcome, sweep
from orchestrator.commands.sync import differences
from orchestrator.running.task import Task
from orchestrator.store.attempt_record import AttemptRecord, Point, State
from orchestrator.tracking.follower import Follower, RetryTimings
from tests.end_to_end.conftest import run_module
from tests.end_to_end.tracking_server import TrackingServer

pytestmark = pytest.mark.usefixtures("without_figures")

REPORTS = 20


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory, migrated: Path) -> Iterator[TrackingServer]:
    """A server with a database of its own. A start takes seconds: tests share it, with a sweep of its own each."""
    server = TrackingServer(tmp_path_factory.mktemp("server"))
    shutil.copy(migrated, server.folder / "server.db")
    yield server
    server.kill()


@pytest.fixture
def server(started: TrackingServer) -> TrackingServer:
    """That server, running."""
    return started if started.answers() else started.start()


def sleeping(task: Task, report: Callable[[Point], None], *, seconds: float) -> AttemptRecord:
    """A trial that takes `seconds` and reports 20 times."""
    began, waits = time.time(), []
    for step in range(1, REPORTS + 1):
        time.sleep(seconds / REPORTS)
        asked = time.monotonic()
        report(Point(step=step, metrics={"train/loss": 1 / step, "val/miou": step / 100}, time=time.time()))
        waits.append(time.monotonic() - asked)
    return AttemptRecord(
        trial_id=task.trial_id,
        attempt=task.attempt,
        state=State.DONE,
        started_at=began,
        ended_at=time.time(),
        metrics={"final/miou": 0.25, "val/miou": REPORTS / 100, "cost/wait": median(waits), "cost/longest": max(waits)},
    )


def run(
    folder: Path, server: TrackingServer, monkeypatch: pytest.MonkeyPatch, *, seconds: float, seeds: str, name: str
) -> SweepOutcome:
    """A sweep of two sleeping trials for each of `seeds` in this process."""
    monkeypatch.setattr("orchestrator.running.worker.run_trial", partial(sleeping, seconds=seconds))
    options = RunOptions(run_dir=folder / "runs", out=folder / "out", tracking_uri=server.uri, executor="serial")
    return sweep(folder / "tiny.yaml", seeds=seeds, name=name, options=options)


def wait_for_ended(folder: Path, count: int) -> None:
    """Wait until this number of trials has ended."""
    while len(list(folder.glob("runs/trials/*/attempt_*.json"))) < count:
        time.sleep(0.05)


def check_waits(result: SweepOutcome) -> None:
    """No trial waits until a server has taken its report, which would take a tenth of a second, or minutes."""
    metrics = [record.metrics for record in result.outcomes.values()]
    assert max(item["cost/wait"] for item in metrics) < 0.005
    assert max(item["cost/longest"] for item in metrics) < 1.0


@pytest.mark.slow
def test_a_server_that_is_away_in_mid_sweep_misses_nothing_and_slows_nobody(
    folder: Path, server: TrackingServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the end of the second trial on, while three more end."""

    def interrupt() -> None:
        wait_for_ended(folder, 2)
        server.kill()
        wait_for_ended(folder, 5)
        server.start()

    outage = threading.Thread(target=interrupt, daemon=True)
    outage.start()
    result = run(folder, server, monkeypatch, seconds=1.0, seeds="0,1,2,3", name="away")
    assert result.completed
    outage.join()
    assert (result.mirror_lacks, result.mirror_failure) == ("", None)
    assert differences(folder / "runs", "away", server.uri) == []
    check_waits(result)


@pytest.mark.slow
def test_a_server_killed_for_good_costs_one_line_and_sync_brings_everything_to_another(
    folder: Path,
    server: TrackingServer,
    migrated: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    impatient = partial(Follower, timings=RetryTimings(outage_seconds=3.0))
    monkeypatch.setattr("orchestrator.tracking.follower.Follower", impatient)
    outage = threading.Thread(target=lambda: [wait_for_ended(folder, 1), server.kill()], daemon=True)
    outage.start()
    result = run(folder, server, monkeypatch, seconds=1.0, seeds="4,5", name="gone")
    assert result.completed
    assert result.mirror_lacks.endswith("and the final table")
    check_waits(result)
    shutil.copy(migrated, folder / "second.db")  # which needs no second server
    second = f"sqlite:///{folder / 'second.db'}"
    assert orchestrator(["sync", "--run-dir", str(folder / "runs"), "--tracking-uri", second]) == 0
    assert "gone: 4 of 4 trials delivered" in capsys.readouterr().out
    assert differences(folder / "runs", "gone", second) == []


def test_a_server_that_is_not_there_is_one_line_at_the_end(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    impatient = partial(Follower, timings=RetryTimings(outage_seconds=0.5))
    monkeypatch.setattr("orchestrator.tracking.follower.Follower", impatient)
    nowhere = TrackingServer(folder / "nowhere")
    result = run(folder, nowhere, monkeypatch, seconds=0.1, seeds="1", name="nowhere")
    assert result.completed
    assert result.mirror_lacks == "2 trials and the final table"
    assert str(result.mirror_failure).startswith(f"{nowhere.uri}: ")


class Doorman(http.server.BaseHTTPRequestHandler):
    """Lets nobody in, and notes who knocked."""

    seen: list[str]

    def do_GET(self) -> None:
        self.seen.append(self.headers.get("Authorization", ""))
        self.send_response(401)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_POST = do_GET

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


@pytest.fixture
def doorman() -> Iterator[tuple[str, list[str]]]:
    """Address of a server that refuses, and what it was shown."""
    seen: list[str] = []
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (Doorman,), {"seen": seen})) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_port}", seen
        server.shutdown()


@pytest.mark.slow
def test_wrong_credentials_are_one_line_before_any_trial_and_are_written_nowhere(
    folder: Path, doorman: tuple[str, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    address, seen = doorman
    monkeypatch.setattr("tests.end_to_end.conftest.environment", with_credentials)
    uri = f"http://anna:verysecret@{address}"
    result = run_module(folder, "orchestrator.sweep", "tiny.yaml", "--executor", "serial", "--tracking-uri", uri)
    assert result.returncode == 2, result.stdout
    assert len(result.stderr.splitlines()) == 1, result.stderr
    assert result.stderr.startswith(f"http://{address}: MLflow refuses access; set MLFLOW_TRACKING_USERNAME")
    assert seen, "it was asked"
    assert "Basic" in seen[0]
    assert not list(folder.glob("runs/trials/*")), "no trial started"
    secrets = (b"verysecret", base64.b64encode(b"anna:verysecret"))
    # a patch of uncommitted changes may hold this very test
    written = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.suffix != ".patch"}
    written |= {Path("stdout"): result.stdout.encode(), Path("stderr"): result.stderr.encode()}
    assert [path for path, text in written.items() if any(secret in text for secret in secrets)] == []


def with_credentials() -> dict[str, str]:
    """The environment of a user with a wrong password."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("MLFLOW")}
    ours = {"MLFLOW_TRACKING_USERNAME": "anna", "MLFLOW_TRACKING_PASSWORD": "verysecret", "OMP_NUM_THREADS": "1"}
    return kept | ours
