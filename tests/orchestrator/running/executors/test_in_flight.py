"""InFlight without Tune: starts, losses and kills of the tasks that Tune has."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from orchestrator.running.executors import in_flight as module
from orchestrator.running.executors.in_flight import IDLE, RECORD, TASK, InFlight
from orchestrator.running.task import Share
from orchestrator.store.records import AttemptRecord, ErrorRecord, State
from orchestrator.testing.executor import RecordingController, make_tasks


@dataclass
class Cluster:
    """A cluster without processes."""

    max_concurrent: int | None = 2
    grace_seconds: float = 0.0
    capacity: Share = Share(cpus=8.0)
    reuses_processes: bool = True
    killed: list[Any] = field(default_factory=list)

    def nodes(self) -> set[str]:
        return {"one", "other"}

    def dead_daemons(self) -> list[str]:
        return []

    def kill(self, trial: Any) -> None:
        self.killed.append(trial)


@dataclass
class Trial:
    """The part of a Tune trial that is used."""

    config: dict[str, Any]
    status: str = "PENDING"


def launch(in_flight: InFlight) -> Trial:
    """Start the next task as a trial of Tune."""
    packed = in_flight.next_task()
    assert packed is not None
    trial = Trial({TASK: packed})
    in_flight.add(trial)
    return trial


def test_a_process_waits_for_a_starting_one_for_a_limited_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    in_flight = InFlight(RecordingController(make_tasks(2, tmp_path)), Cluster())
    for _ in range(2):
        launch(in_flight)
    monkeypatch.setattr(module, "WARM_UP_SECONDS", 0.2)
    in_flight.waits_for[1] = {2}
    assert in_flight.holds(1)
    time.sleep(0.25)
    assert not in_flight.holds(1), "the sweep has waited long enough"
    in_flight.waits_for[1] = {2}
    assert not in_flight.holds(1), "the limit is for the whole sweep"


def test_a_process_that_cannot_use_its_gpu_any_more_runs_no_other_trial(tmp_path: Path) -> None:
    controller, cluster = RecordingController(make_tasks(2, tmp_path)), Cluster()
    in_flight = InFlight(controller, cluster)
    trial = launch(in_flight)
    error = ErrorRecord(kind="AcceleratorError", message="CUDA error: device-side assert triggered", traceback="...")
    ended = AttemptRecord(trial_id="trial0", attempt=1, state=State.USER_ERROR, started_at=0, ended_at=1, error=error)
    assert not in_flight.receive(trial, {RECORD: json.dumps(ended.to_json())}), "Tune must not reuse the process"
    assert not in_flight.receive(trial, {IDLE: True}), "nor after a report that was on its way"
    assert cluster.killed == [trial]
    in_flight.lose(trial, "the worker process died")
    assert [event for event, _ in controller.events_of("trial0")] == ["started", "ended"]


def test_a_start_is_reported_once_and_as_soon_as_the_trial_runs(tmp_path: Path) -> None:
    controller = RecordingController(make_tasks(2, tmp_path))
    in_flight = InFlight(controller, Cluster())
    one, _other = launch(in_flight), launch(in_flight)
    in_flight.notice_starts()
    assert not controller.events_of("trial0"), "it waits for a process"
    one.status = "RUNNING"
    for _ in range(2):
        in_flight.notice_starts()
    assert [event for event, _ in controller.events_of("trial0")] == ["started"]
    assert not controller.events_of("trial1")


def test_when_the_cluster_dies_only_started_tasks_are_lost(tmp_path: Path) -> None:
    controller = RecordingController(make_tasks(2, tmp_path))
    in_flight = InFlight(controller, Cluster())
    one, _other = launch(in_flight), launch(in_flight)
    one.status = "RUNNING"
    in_flight.notice_starts()
    in_flight.close()
    assert {trial_id: record.state for trial_id, record in controller.records().items()} == {"trial0": State.LOST}


def test_only_a_trial_that_has_a_process_is_killed(tmp_path: Path) -> None:
    controller = RecordingController(make_tasks(2, tmp_path))
    controller.stop_states = {"trial0": State.CANCELLED, "trial1": State.CANCELLED}
    cluster = Cluster(grace_seconds=-1.0)
    in_flight = InFlight(controller, cluster)
    one, _other = launch(in_flight), launch(in_flight)
    one.status = "RUNNING"
    in_flight.notice_starts()
    in_flight.check()
    assert cluster.killed == [one]
