"""TrialWorker without Ray: what a worker makes of the messages of a trial."""

from __future__ import annotations

import json
import os
import pickle
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import cloudpickle
import pytest

from orchestrator.running.executors import fork_server
from orchestrator.running.executors.trial_worker import TrialWorker
from orchestrator.running.fork_server.request import DIED, RECORD
from orchestrator.running.task import Share, Task, Work
from orchestrator.store.attempt_record import AttemptRecord, Point, State
from orchestrator.testing.executor import dying_work, make_tasks, quick_work
from tests.processes import is_alive


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with fork_server((), cpus=1) as path:
        yield path


def run(work: Work, path: str, folder: Path, seed: int = 0, **options: Any) -> tuple[list[Any], dict[str, str]]:
    """The points that were reported, and what the worker returned."""
    points: list[Any] = []
    worker = TrialWorker(work=cloudpickle.dumps(work), server=path, **options)
    ended = worker.run(pickle.dumps(make_tasks(seed + 1, folder)[seed]), points.append, node="node-1")
    return points, ended


def record_in(ended: dict[str, str]) -> AttemptRecord:
    return AttemptRecord.from_json(json.loads(ended[RECORD]))


def test_points_are_passed_on_and_the_record_returned(server: str, tmp_path: Path) -> None:
    points, ended = run(quick_work(), server, tmp_path)
    assert [point["step"] for point in points] == [1, 2, 3]
    record = record_in(ended)
    assert (record.state, record.metrics) == (State.DONE, {"final/miou": 0.0})


def with_facts(state: State = State.DONE, **facts: str) -> Work:
    """Work whose record has this state and these facts of the environment."""

    def work(task: Task, report: Callable[[Point], None]) -> AttemptRecord:
        return replace(quick_work()(task, report), state=state, environment=facts)

    return work


def test_only_a_record_without_the_state_of_the_code_gets_that_of_the_driver(server: str, tmp_path: Path) -> None:
    code = {"commit": "of the driver", "dirty": "yes"}
    _, bare = run(with_facts(), server, tmp_path, code=code)
    assert record_in(bare).environment == code
    _, full = run(with_facts(commit="of the worker"), server, tmp_path, code=code)
    assert record_in(full).environment == {"commit": "of the worker"}


def test_a_lost_trial_names_its_node(server: str, tmp_path: Path) -> None:
    _, ended = run(with_facts(State.LOST), server, tmp_path)
    assert record_in(ended).environment["node"] == "node-1"


def test_a_dead_process_and_an_exception_are_the_reason(server: str, tmp_path: Path) -> None:
    _, ended = run(dying_work(), server, tmp_path, seed=1)
    assert ended == {DIED: "the process of the trial was killed by SIGKILL (out of memory?)"}

    def broken(task: Task, report: Callable[[Point], None]) -> AttemptRecord:
        raise ValueError("no record")

    _, ended = run(broken, server, tmp_path)
    assert ended == {DIED: "ValueError: no record"}


def test_forwarded_variables_are_the_trials_only(server: str, tmp_path: Path) -> None:
    def work(task: Task, report: Callable[[Point], None]) -> AttemptRecord:
        return replace(quick_work()(task, report), environment={"commit": os.environ.get("FORWARDED", "")})

    _, ended = run(work, server, tmp_path, environment={"FORWARDED": "value"})
    assert record_in(ended).environment["commit"] == "value"
    assert "FORWARDED" not in os.environ


@pytest.mark.parametrize("gpus", [0.0, 1.0])
def test_a_worker_waits_for_the_end_of_a_process_that_holds_a_gpu(server: str, tmp_path: Path, gpus: float) -> None:
    """The memory of the GPU is free only then."""

    def work(task: Task, report: Callable[[Point], None]) -> AttemptRecord:
        (tmp_path / "pid").write_text(str(os.getpid()))
        resources = asdict(Share(gpus=gpus))
        return replace(quick_work()(task, report), resources=resources)

    _, ended = run(work, server, tmp_path)
    assert record_in(ended).state is State.DONE
    pid = int((tmp_path / "pid").read_text())
    if gpus:
        assert not is_alive(pid)
    deadline = time.monotonic() + 30
    while is_alive(pid):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_what_report_raises_ends_the_process(server: str, tmp_path: Path) -> None:
    worker = TrialWorker(work=cloudpickle.dumps(quick_work()), server=server)

    def stop(point: Any) -> None:
        raise SystemExit  # as Tune does

    with pytest.raises(SystemExit):
        worker.run(pickle.dumps(make_tasks(1, tmp_path)[0]), stop, node="node-1")


def test_without_any_server_the_trial_is_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("orchestrator.running.executors.trial_worker.shared_server", refuse)
    _, ended = run(quick_work(), str(tmp_path / "gone"), tmp_path)
    assert ended == {DIED: "OSError: [Errno 28] No space left on device"}


def test_signals_for_the_driver_do_not_end_the_server(server: str, tmp_path: Path) -> None:
    def work(task: Task, report: Callable[[Point], None]) -> AttemptRecord:
        os.kill(os.getppid(), signal.SIGTERM)
        return quick_work()(task, report)

    assert record_in(run(work, server, tmp_path)[1]).state is State.DONE
    assert record_in(run(quick_work(), server, tmp_path)[1]).state is State.DONE
