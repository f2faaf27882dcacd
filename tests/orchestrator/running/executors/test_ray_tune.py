"""The Ray executor: the contract, and what can only happen with separate processes."""

import itertools
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import ray

from orchestrator.errors import SweepError
from orchestrator.running.executors import fork_server, ray_cluster, ray_tune
from orchestrator.running.executors.in_flight import CHECK_SECONDS
from orchestrator.running.executors.ray_tune import RayTune
from orchestrator.running.executors.trial_worker import TrialWorker
from orchestrator.running.task import Share, Task, Work
from orchestrator.store.attempt_record import AttemptRecord, Point, State
from orchestrator.testing.executor import ExecutorContract, RecordingController, Run, dying_work, make_tasks, quick_work


@pytest.fixture(scope="module")
def cluster() -> Iterator[RayTune]:
    """A local cluster with its fork server, stopped at the end of the module."""
    with fork_server(("orchestrator.testing.executor", "orchestrator.running.worker"), cpus=1) as path:
        executor = RayTune(server=path)
        yield executor
        executor.shutdown()


class TestRayTune(ExecutorContract):
    @pytest.fixture
    def run(self, cluster: RayTune) -> Run:
        """On one slot: Ray starts a process for each, which takes seconds. Some tests below use all."""
        return lambda controller, work: RayTune(server=cluster.server, work=work, max_concurrent=1).run(controller)


def test_a_killed_trial_is_lost_and_so_is_one_that_says_so_which_names_its_node(
    cluster: RayTune, tmp_path: Path
) -> None:
    dying = dying_work()

    def work(task: Task, report: Callable[[Point], None]) -> AttemptRecord:
        record = dying(task, report)
        return replace(record, state=State.LOST) if task.config.seed == 3 else record

    controller = RecordingController(make_tasks(4, tmp_path))
    RayTune(server=cluster.server, work=work, max_concurrent=1).run(controller)
    records = controller.records()
    assert {key: record.state for key, record in records.items()} == {
        "trial0": State.DONE,
        "trial1": State.LOST,
        "trial2": State.DONE,
        "trial3": State.LOST,
    }
    error = records["trial1"].error
    assert error is not None
    assert error.kind == "WorkerLost"
    assert [event for event, _ in controller.events_of("trial1")] == ["started", "ended"]
    (node,) = ray.nodes()
    assert records["trial3"].environment["node"] == node["NodeID"]


def test_the_driver_keeps_its_signal_handlers_while_ray_starts_and_after(monkeypatch: pytest.MonkeyPatch) -> None:
    def init(**options: object) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # Ray sets a handler that exits
        assert signal.getsignal(signal.SIGTERM) is before
        assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) >= {signal.SIGHUP, signal.SIGQUIT}, "for Ray's processes"

    monkeypatch.setattr(ray, "init", init)
    before = signal.getsignal(signal.SIGTERM)
    ray_cluster.connect()
    assert signal.getsignal(signal.SIGTERM) is before


def noting_its_process(pause: float = 0.0) -> Work:
    """`quick_work` with the process of the trial, and the worker that has handed it over, in the record."""
    quick = quick_work()

    def work(task: Task, report: Callable[[Point], None]) -> AttemptRecord:
        started_at = time.time()
        time.sleep(pause)
        record = quick(replace(task, config=replace(task.config, seed=0)), report)
        metrics = {"pid": os.getpid(), "server": os.getppid(), "worker": int(os.environ["OF_THE_WORKER"])}
        return replace(record, started_at=started_at, metrics=metrics)

    return work


class InWorker(TrialWorker):
    """Tells the trial which worker it is."""

    def run(self, task: bytes, report: Callable[[Mapping[str, Any]], object], node: str) -> dict[str, str]:
        os.environ["OF_THE_WORKER"] = str(os.getpid())
        return super().run(task, report, node)


def test_each_trial_has_a_process_of_one_server_and_workers_stay(
    cluster: RayTune, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray_tune, "TrialWorker", InWorker)
    controller = RecordingController(make_tasks(4, tmp_path))
    RayTune(server=cluster.server, work=noting_its_process(0.3), max_concurrent=1).run(controller)
    records = sorted(controller.records().values(), key=lambda record: record.started_at)
    assert len(records) == 4
    assert all(earlier.ended_at <= later.started_at for earlier, later in itertools.pairwise(records))
    assert len({record.metrics["pid"] for record in records}) == 4, "no trial finds what another has left"
    assert len({record.metrics["server"] for record in records}) == 1
    assert len({record.metrics["worker"] for record in records}) == 1, "Ray starts no further process"


def test_a_hanging_trial_is_killed_after_the_grace_period_and_has_the_state_of_the_controller(
    cluster: RayTune, tmp_path: Path
) -> None:
    quick = quick_work()

    def work(task: Task, report: Callable[[Point], None]) -> AttemptRecord:
        if task.config.seed == 1:
            time.sleep(600)
        return quick(task, report)

    class Impatient(RecordingController):
        def stop_state(self, task: Task) -> State | None:
            return State.TIMED_OUT if task.trial_id == "trial1" else None

    controller = Impatient(make_tasks(3, tmp_path))
    began = time.monotonic()
    RayTune(server=cluster.server, work=work, grace_seconds=1.0).run(controller)
    assert time.monotonic() - began < 300
    records = controller.records()
    assert {key: record.state for key, record in records.items()} == {
        "trial0": State.DONE,
        "trial1": State.TIMED_OUT,
        "trial2": State.DONE,
    }
    assert records["trial1"].error is None
    assert [event for event, _ in controller.events_of("trial1")] == ["started", "ended"]


@pytest.mark.parametrize(
    ("alive", "gpus_to_come"),
    [({}, True), ({"CPU": 8.0, "GPU": 1.0}, True), ({"CPU": 8.0}, False)],
    ids=["a head that runs no trials", "GPU nodes", "CPU nodes"],
)
def test_an_autoscaling_cluster_has_capacity_before_it_has_nodes(
    cluster: RayTune, monkeypatch: pytest.MonkeyPatch, alive: dict[str, float], gpus_to_come: bool
) -> None:
    monkeypatch.setattr(ray_tune.ray, "cluster_resources", lambda: alive)
    growing = RayTune(address="auto", max_concurrent=8).capacity
    assert Share(cpus=1000).fits(growing)
    assert Share(cpus=1, gpus=1).fits(growing) == gpus_to_come
    fixed = RayTune(address="auto").capacity
    assert fixed == Share(cpus=alive.get("CPU", 0.0), gpus=alive.get("GPU", 0.0))


@dataclass(frozen=True)
class ShortTrials:
    """Twelve trials on two slots, each shorter than the start of a worker."""

    workers: Counter[float]
    """Trials by the process of their worker."""
    asked: list[float]
    """When the cluster was asked for its capacity."""


@pytest.fixture(scope="module")
def short_trials(cluster: RayTune, tmp_path_factory: pytest.TempPathFactory) -> ShortTrials:
    asked: list[float] = []
    really = ray_tune.ray.cluster_resources

    def counted() -> dict[str, float]:
        if sys._getframe(1).f_code.co_name == "capacity":  # Tune asks for its own purposes too
            asked.append(time.monotonic())
        return really()

    controller = RecordingController(make_tasks(12, tmp_path_factory.mktemp("short")))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ray_tune, "TrialWorker", InWorker)
        patch.setattr(ray_tune.ray, "cluster_resources", counted)
        RayTune(server=cluster.server, work=noting_its_process(), max_concurrent=2).run(controller)
    return ShortTrials(Counter(record.metrics["worker"] for record in controller.records().values()), asked)


def test_trials_shorter_than_the_start_of_a_worker_use_all_slots(short_trials: ShortTrials) -> None:
    assert short_trials.workers.total() == 12
    assert len(short_trials.workers) == 2
    assert min(short_trials.workers.values()) > 2


def test_the_cluster_is_asked_about_once_a_second(short_trials: ShortTrials) -> None:
    assert short_trials.asked
    pairs = itertools.pairwise(short_trials.asked)
    assert all(later - earlier > 0.5 * CHECK_SECONDS for earlier, later in pairs)


def test_a_worker_starts_a_fork_server_where_the_drivers_is_gone(cluster: RayTune, tmp_path: Path) -> None:
    controller = RecordingController(make_tasks(1, tmp_path))
    RayTune(server=str(tmp_path / "gone.sock"), work=quick_work()).run(controller)
    assert controller.records()["trial0"].state is State.DONE


def test_ray_client_is_refused_with_the_remedy() -> None:
    with pytest.raises(SweepError, match=r"--address ray://head:10001: .* Ray Client; .* --address auto"):
        ray_cluster.join("ray://head:10001", ExitStack())
