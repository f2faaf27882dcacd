"""`sync` through a network with faults: everything arrives once, and what cannot pass ends it at once. 12 s."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from mlflow import MlflowClient

from orchestrator.commands.sync import differences, sync_sweeps
from orchestrator.errors import AccessError, BlockedError, OutageError
from orchestrator.store.attempt_record import AttemptRecord, Point
from orchestrator.store.record_store import RecordStore
from orchestrator.store.sweep_record import SweepRecord
from orchestrator.tracking.mlflow_store import Server
from orchestrator.tracking.retries import Retries, RetryTimings
from tests.orchestrator.tracking.conftest import CONFIG
from tests.orchestrator.tracking.faulty_mlflow import Fault, FaultyMlflow, answer, cut, dropped_after

pytestmark = pytest.mark.filterwarnings("default")  # MLflow's server warns of its own libraries, which would be a 500

QUICK = RetryTimings(first_retry_seconds=0.01, longest_retry_seconds=0.02, outage_seconds=20.0)

FAULTS: dict[str, Fault] = {
    "503": answer("503 Service Unavailable"),
    "dropped after": dropped_after,
    "half a body": cut,
    "HTML": answer("200 OK"),
}


@pytest.fixture
def filled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sweep: SweepRecord, make_record: Callable[..., AttemptRecord]
) -> RecordStore:
    """Two trials done and one begun."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("reports.figures.choose.choose", lambda *given, **named: {})
    store = RecordStore("runs")
    store.write_sweep(sweep)
    for number, cell in enumerate(sweep.cells[:3]):
        store.start(cell.trial_id, 1, CONFIG, time=100.0)
        for step in (10, 20):
            store.append(cell.trial_id, Point(step=step, metrics={"train/loss": 1 / step}, time=100.0 + step))
        if number < 2:
            store.end(make_record(cell.trial_id, final__miou=number / 10))
    return store


@pytest.fixture
def server(tmp_path: Path, migrated: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultyMlflow]:
    (tmp_path / "server.db").write_bytes(migrated.read_bytes())
    with FaultyMlflow(tmp_path / "server.db", monkeypatch) as server:
        yield server


def now_and_then() -> Callable[[], bool]:
    """True at calls 3, 6, 10, 15, 21, ...: two open the server, and a round makes some in a row that must succeed."""
    calls = Counter[str]()
    due_at = {number * (number + 3) // 2 + 1 for number in range(1, 100)}

    def due() -> bool:
        calls["all"] += 1
        return calls["all"] in due_at

    return due


@pytest.mark.parametrize("kind", FAULTS)
def test_everything_arrives_once_though_requests_fail_now_and_then(
    filled: RecordStore, server: FaultyMlflow, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    due = now_and_then()
    server.fault = lambda method, path: FAULTS[kind] if due() else None
    (done,) = sync_sweeps("runs", ["tiny"], server.uri, QUICK)
    assert (len(done.delivered), done.refused) == (2, {})
    server.fault = lambda method, path: None
    assert differences("runs", "tiny", server.uri) == []
    client = MlflowClient(tracking_uri=server.uri)
    experiment = client.get_experiment_by_name("contrast-sweep")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id])
    assert Counter(run.data.tags["role"] for run in runs) == {"sweep": 1, "trial": 3}, "no run was made twice"
    assert all(run.info.status != "RUNNING" for run in runs)
    assert any("next try in" in line for line in caplog.messages)


def test_the_comparison_is_as_patient(filled: RecordStore, server: FaultyMlflow) -> None:
    list(sync_sweeps("runs", ["tiny"], server.uri, QUICK))
    due = now_and_then()
    server.fault = lambda method, path: answer("503 Service Unavailable") if due() else None
    assert differences("runs", "tiny", server.uri, QUICK) == []


@pytest.mark.parametrize(
    ("status", "error"), [("401 Unauthorized", AccessError), ("404 Not Found", AccessError), ("200 OK", AccessError)]
)
def test_what_cannot_pass_ends_it_at_the_first_answer(
    filled: RecordStore, server: FaultyMlflow, status: str, error: type[Exception]
) -> None:
    server.fault = lambda method, path: answer(status)
    with pytest.raises(error):
        list(sync_sweeps("runs", ["tiny"], server.uri))
    assert len(server.requests) == 1


def test_a_damaged_database_ends_it_at_once_and_its_remedy_lets_it_deliver(filled: RecordStore, migrated: Path) -> None:
    Path("mlflow.db").write_bytes(b"no database" * 1000)
    uri = "sqlite:///mlflow.db"
    with pytest.raises(BlockedError, match=r"the database is damaged; move it away with `mkdir -p damaged && mv "):
        list(sync_sweeps("runs", ["tiny"], uri))
    Path("mlflow.db").rename("moved.db")
    Path("mlflow.db").write_bytes(migrated.read_bytes())  # creating one takes seconds
    (done,) = sync_sweeps("runs", ["tiny"], uri)
    assert len(done.delivered) == 2
    assert differences("runs", "tiny", uri) == []


def test_an_experiment_in_the_trash_is_told_and_can_be_restored_while_a_sync_is_repeated(
    filled: RecordStore, server: FaultyMlflow
) -> None:
    list(sync_sweeps("runs", ["tiny"], server.uri, QUICK))
    found = Server(server.uri)
    found.client.delete_experiment(found.experiment)
    with pytest.raises(BlockedError, match=r"is in MLflow's trash; `MLFLOW_TRACKING_URI=.* mlflow experiments restore"):
        list(sync_sweeps("runs", ["tiny"], server.uri, QUICK))
    found.client.restore_experiment(found.experiment)
    (done,) = sync_sweeps("runs", ["tiny"], server.uri, QUICK)
    assert done.delivered == ()
    assert differences("runs", "tiny", server.uri) == []


class Clock:
    """Time that only sleeping takes."""

    now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def test_an_outage_is_waited_for_with_growing_pauses_and_then_told(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    retries = Retries(clock=clock, sleep=clock.sleep)

    def fail() -> None:
        raise OutageError("nobody answers")

    with pytest.raises(OutageError, match="nobody answers"):
        retries.run(fail)
    assert 60 < clock.now < 80
    assert caplog.messages[:5] == [f"nobody answers (next try in {seconds} s)" for seconds in (1, 2, 4, 8, 15)]
    answers = iter([OutageError("down"), 7])

    def recover() -> int:
        found = next(answers)
        if isinstance(found, Exception):
            raise found
        return found

    retries.progress()
    assert retries.run(recover) == 7
    assert retries.back_off.seconds == 1.0
