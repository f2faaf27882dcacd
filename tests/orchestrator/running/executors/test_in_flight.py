"""InFlight without Tune: starts, losses and kills of the tasks that Tune has."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from orchestrator.running.executors import in_flight as module
from orchestrator.running.executors.base import ExecutorLostError
from orchestrator.running.executors.in_flight import InFlight
from orchestrator.running.executors.packed_task import NODE, TASK
from orchestrator.running.fork_server.request import DIED, POINT
from orchestrator.running.task import Share, Task
from orchestrator.store.attempt_record import AttemptRecord, Point, State
from orchestrator.testing.executor import RecordingController, make_tasks

MEMORY = """2 worker(s) were killed due to the node running low on memory. Memory on the node (IP: 192.0.2.2, ID: d63)
was 7.10GB used / 23.54GB limit (0.301474)
OOM kill reason: ..."""


@dataclass
class Cluster:
    """A cluster without processes."""

    max_concurrent: int | None = 2
    grace_seconds: float = 0.0
    capacity: Share = Share(cpus=8.0)
    killed: list[Any] = field(default_factory=list)
    full: list[Any] = field(default_factory=list)
    """Trials whose processes Ray has killed for memory."""

    def nodes(self) -> set[str]:
        return {"one", "other"}

    def worker_of(self, trial: Any) -> int:
        return id(trial)

    def memory_kills(self, workers: Sequence[Any]) -> list[tuple[Any, str]]:
        return [(id(trial), MEMORY) for trial in self.full if id(trial) in workers]

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


def test_a_worker_waits_for_a_starting_one_for_a_limited_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_what_is_taken_is_a_sum_that_is_kept(tmp_path: Path) -> None:
    tasks = [
        replace(task, share=Share(cpus=0.1 * (index + 1), gpus=0.3))
        for index, task in enumerate(make_tasks(20, tmp_path))
    ]
    in_flight = InFlight(RecordingController(tasks), Cluster(max_concurrent=None, capacity=Share(cpus=1e3, gpus=1e3)))
    trials = [launch(in_flight) for _ in range(20)]
    assert in_flight.next_task() is None
    shares = [task.share for task in tasks]
    assert in_flight.taken.cpus == pytest.approx(sum(share.cpus for share in shares))
    for trial in trials[:7]:
        in_flight.lose(trial, "it died")
    assert in_flight.taken.gpus == pytest.approx(sum(share.gpus for share in shares[7:]))
    for trial in trials[7:]:
        in_flight.lose(trial, "it died")
    assert in_flight.taken == Share(cpus=0.0), "without what rounding has left"


def test_a_trial_whose_process_died_is_lost_and_its_worker_continues(tmp_path: Path) -> None:
    controller = RecordingController(make_tasks(1, tmp_path))
    in_flight = InFlight(controller, Cluster())
    trial = launch(in_flight)
    assert in_flight.receive(trial, {DIED: "the process of the trial was killed by SIGSEGV"}), "Tune reuses the worker"
    error = controller.records()["trial0"].error
    assert error is not None
    assert (error.kind, error.message) == ("WorkerLost", "the process of the trial was killed by SIGSEGV")
    assert controller.finished


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


class Losses(RecordingController):
    """Also notes which attempts count."""

    def __init__(self, tasks: Sequence[Task]) -> None:
        super().__init__(tasks)
        self.counted: dict[str, bool] = {}

    def ended(self, task: Task, record: AttemptRecord, *, counts: bool = True) -> None:
        super().ended(task, record, counts=counts)
        self.counted[task.trial_id] = counts


def started(in_flight: InFlight, count: int, nodes: Sequence[str] = ()) -> list[Trial]:
    """Trials that run, on these nodes if they have reported."""
    trials = [launch(in_flight) for _ in range(count)]
    for trial in trials:
        trial.status = "RUNNING"
    in_flight.notice_starts()
    for trial, node in zip(trials, nodes, strict=False):
        point = asdict(Point(step=1, metrics={}, time=0.0, attempt=1))
        in_flight.receive(trial, {POINT: json.dumps(point), NODE: node})
    return trials


def test_when_tune_fails_started_tasks_are_lost_and_the_others_wait_again(tmp_path: Path) -> None:
    controller = Losses(make_tasks(2, tmp_path))
    in_flight = InFlight(controller, Cluster())
    one, _other = launch(in_flight), launch(in_flight)
    one.status = "RUNNING"
    in_flight.notice_starts()
    reason = in_flight.fail(RuntimeError("a\n  text of   several lines"))
    assert reason == "Ray Tune failed (a text of several lines)"
    records = controller.records()
    assert {trial_id: record.state for trial_id, record in records.items()} == {"trial0": State.LOST}
    assert records["trial0"].error is not None
    assert records["trial0"].error.message == reason
    assert controller.counted == {"trial0": False}
    assert [task.trial_id for task in controller.waiting] == ["trial1", "trial0"]
    assert not in_flight.tasks


@pytest.mark.parametrize("nodes", [(), ("one", "one", "one")], ids=["nothing reported", "one node"])
def test_a_task_killed_for_memory_beside_others_ends_the_run_and_does_not_count(
    tmp_path: Path, nodes: Sequence[str]
) -> None:
    controller, cluster = Losses(make_tasks(3, tmp_path)), Cluster(max_concurrent=3)
    in_flight = InFlight(controller, cluster)
    cluster.full = started(in_flight, 3, nodes)[:2]
    reason = in_flight.fail(RuntimeError(f"Caught unexpected exception: {MEMORY}"))
    full = "Ray's memory monitor ended the process, because the memory of the node was full"
    assert reason == f"{full} (7.10GB used / 23.54GB limit)"
    states = {trial_id: record.state for trial_id, record in controller.records().items()}
    assert states == {"trial0": State.OUT_OF_MEMORY, "trial1": State.OUT_OF_MEMORY, "trial2": State.LOST}
    assert controller.counted == {"trial0": False, "trial1": False, "trial2": False}


def test_a_task_killed_for_memory_while_it_starts_ends_the_run_at_the_next_check(tmp_path: Path) -> None:
    controller = Losses(make_tasks(2, tmp_path))
    in_flight = InFlight(controller, Cluster())
    one, _other = started(in_flight, 2)
    in_flight.lose(one, MEMORY)
    with pytest.raises(ExecutorLostError, match="memory of the node was full"):
        in_flight.check()


@pytest.mark.parametrize("nodes", [("one",), ("one", "other")], ids=["alone", "the only one of its node"])
def test_a_task_killed_for_memory_without_neighbours_counts(tmp_path: Path, nodes: Sequence[str]) -> None:
    controller = Losses(make_tasks(len(nodes), tmp_path))
    in_flight = InFlight(controller, Cluster())
    trials = started(in_flight, len(nodes), nodes)
    in_flight.lose(trials[0], MEMORY)
    in_flight.check()
    assert controller.records()["trial0"].state is State.OUT_OF_MEMORY
    assert controller.counted == {"trial0": True}


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
