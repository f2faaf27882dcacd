"""The Ray executor: the contract, and what only separate processes can do to it."""

import itertools
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from orchestrator.errors import SweepError
from orchestrator.execution.base import Task
from orchestrator.execution.ray_tune import RayTune, Share, count_slots
from orchestrator.records import AttemptRecord, Point, State
from tests.conformance.executor import ExecutorContract, Notebook, Run, dying_work, make_tasks, quick_work


@pytest.fixture(scope="module")
def cluster() -> Iterator[RayTune]:
    """A private local cluster, ended with the module."""
    executor = RayTune()
    yield executor
    executor.shutdown()


class TestRayTune(ExecutorContract):
    @pytest.fixture
    def run(self, cluster: RayTune) -> Run:
        return lambda tasks, listener, work: RayTune(work=work).run(tasks, listener)


def test_a_killed_worker_is_a_lost_trial_and_the_others_go_on(cluster: RayTune, tmp_path: Path) -> None:
    notebook = Notebook()
    RayTune(work=dying_work()).run(make_tasks(4, tmp_path), notebook)
    records = notebook.records()
    assert {key: record.state for key, record in records.items()} == {
        "trial0": State.DONE,
        "trial1": State.LOST,
        "trial2": State.DONE,
        "trial3": State.DONE,
    }
    error = records["trial1"].error
    assert error is not None
    assert error.kind == "WorkerLost"
    assert [event for event, _ in notebook.of("trial1")] == ["started", "ended"]


def test_max_concurrent_is_kept_and_processes_are_reused(cluster: RayTune, tmp_path: Path) -> None:
    quick = quick_work()

    def work(task: Task, report: Callable[[Point], None]) -> AttemptRecord:
        started_at = time.time()
        time.sleep(0.3)
        record = quick(task, report)
        return AttemptRecord(
            trial_id=record.trial_id,
            attempt=record.attempt,
            state=State.DONE,
            started_at=started_at,
            ended_at=time.time(),
            metrics={"pid": os.getpid()},
        )

    notebook = Notebook()
    RayTune(work=work, max_concurrent=1).run(make_tasks(4, tmp_path), notebook)
    records = sorted(notebook.records().values(), key=lambda record: record.started_at)
    assert len(records) == 4
    assert all(earlier.ended_at <= later.started_at for earlier, later in itertools.pairwise(records))
    assert len({record.metrics["pid"] for record in records}) < 4, "a warm process serves several CPU trials"


def test_slots_follow_from_the_share_and_the_cluster() -> None:
    machine = {"CPU": 16.0, "GPU": 2.0}
    assert count_slots(machine, Share(cpus=1), None) == 16
    assert count_slots(machine, Share(cpus=2, gpus=1), None) == 2
    assert count_slots(machine, Share(cpus=1, gpus=0.25), None) == 8
    assert count_slots(machine, Share(cpus=1), 3) == 3


def test_a_trial_that_fits_nowhere_is_an_error_with_the_figures() -> None:
    with pytest.raises(SweepError, match="a trial wants 4 CPUs and 1 GPUs, the cluster has 2 and 0"):
        count_slots({"CPU": 2.0}, Share(cpus=4, gpus=1), None)
