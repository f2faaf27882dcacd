"""What a sweep costs its driver, counted and not timed: processes, status requests, writes per report, files per trial.

The bounds are what the code does plus little: who exceeds one has added work to every trial of every sweep.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
import ray
from mlflow import MlflowClient

from benchmarks.idle_sweep import idle_plan
from benchmarks.idle_work import REPORTS, IdleWork
from benchmarks.in_process import InProcessFollower
from orchestrator.running.driver import Driver
from orchestrator.running.executors import fork_server
from orchestrator.running.executors.base import Executor
from orchestrator.running.executors.ray_tune import RayTune
from orchestrator.running.executors.serial import Serial
from orchestrator.running.tracker import Tracker
from orchestrator.store.attempt_record import AttemptRecord
from orchestrator.store.backends import LocalFiles
from orchestrator.store.record_store import RecordStore
from orchestrator.tracking.follower import RetryTimings
from trainer.config import Runtime

RAY_TRIALS, SLOTS = 40, 2
LOCAL_TRIALS = 12
STATUS_CALLS = ("cluster_resources", "available_resources", "nodes")
WRITES = (
    *("log_batch", "log_metric", "log_param", "log_inputs", "log_artifact", "log_text"),
    *("create_run", "update_run", "set_terminated", "set_tag", "delete_tag"),
)


def run(folder: Path, trials: int, executor: Executor, trackers: Sequence[Tracker] = ()) -> dict[str, AttemptRecord]:
    """A sweep with a record store in `folder`."""
    store = RecordStore(folder)
    plan = idle_plan("guard", trials)
    with store.lock():
        store.write_sweep(plan.record)
        driver = Driver(store, trackers)
        outcomes = driver.run(plan, {}, Runtime(), lambda: executor)
        driver.finish({}, completed=True)
    return outcomes


def counted(patch: pytest.MonkeyPatch, owner: object, names: Sequence[str], calls: Counter[str]) -> None:
    """Let calls of `owner.name` be counted under their name."""
    for name in names:
        patch.setattr(owner, name, counting(getattr(owner, name), name, calls))


def counting(real: Callable[..., object], name: str, calls: Counter[str]) -> Callable[..., object]:
    """`real`, and one more under `name`."""

    def call(*given: object, **named: object) -> object:
        calls[name] += 1
        return real(*given, **named)

    return call


@dataclass(frozen=True, kw_only=True)
class Counted:
    """What a sweep did."""

    outcomes: dict[str, AttemptRecord]
    calls: Counter[str]
    folder: Path
    seconds: float
    """Wall time of the run."""


@pytest.fixture(scope="module")
def on_ray(tmp_path_factory: pytest.TempPathFactory) -> Counted:
    """A sweep of many trials on two slots."""
    folder = tmp_path_factory.mktemp("ray")
    calls: Counter[str] = Counter()
    with fork_server((), cpus=1) as path, pytest.MonkeyPatch.context() as patch:
        assert b"ray" not in ray.cloudpickle.dumps(IdleWork()), "the process of each trial would import Ray"
        executor = RayTune(max_concurrent=SLOTS, work=IdleWork(), server=path)
        counted(patch, ray, STATUS_CALLS, calls)
        began = time.monotonic()
        outcomes = run(folder, RAY_TRIALS, executor)
        seconds = time.monotonic() - began
        session = Path(ray._private.worker._global_node.get_session_dir_path())
        calls["workers"] = len(list(session.glob("logs/worker-*.out")))  # Ray makes one for each
        calls["daemons"] = sum(len(started) for started in ray._private.worker._global_node.all_processes.values())
        executor.shutdown()
    return Counted(outcomes=outcomes, calls=calls, folder=folder, seconds=seconds)


@pytest.fixture(scope="module")
def mirrored(tmp_path_factory: pytest.TempPathFactory, migrated: Path) -> Counted:
    """A sweep in this process with its follower, whose thread writes as trials report."""
    folder = tmp_path_factory.mktemp("mirrored")
    shutil.copy(migrated, folder / "mlflow.db")
    calls: Counter[str] = Counter()
    follower = InProcessFollower(f"sqlite:///{folder / 'mlflow.db'}", folder, RetryTimings(round_seconds=0.0))
    follower.admit()
    with pytest.MonkeyPatch.context() as patch:
        counted(patch, LocalFiles, ("append", "write", "sync"), calls)
        counted(patch, MlflowClient, WRITES, calls)
        began = time.monotonic()
        outcomes = run(folder, LOCAL_TRIALS, Serial(IdleWork()), [follower])
        seconds = time.monotonic() - began
        follower.close()
    assert not follower.lacking
    return Counted(outcomes=outcomes, calls=calls, folder=folder, seconds=seconds)


@pytest.mark.slow  # a Ray cluster
def test_every_trial_is_one_fork_of_one_server(on_ray: Counted) -> None:
    facts = [record.environment for record in on_ray.outcomes.values()]
    assert len({fact["process"] for fact in facts}) == len(facts) == RAY_TRIALS
    assert len({fact["parent"] for fact in facts}) == 1


@pytest.mark.slow  # the same cluster
def test_ray_starts_a_worker_for_each_slot_and_two_daemons(on_ray: Counted) -> None:
    """Whatever the number of trials; one more where Tune let go of a worker before it knew of the next trial."""
    assert on_ray.calls["workers"] <= SLOTS + 1
    assert on_ray.calls["daemons"] == len(("gcs_server", "raylet"))


def test_a_worker_of_ray_imports_nothing_that_a_trial_needs() -> None:
    heavy = ("torch", "pydantic", "ruamel", "mlflow")
    modules = (*heavy, "orchestrator.spec", "orchestrator.store.sweep_record", "trainer")
    code = (
        "import sys, ray.tune\n"
        "before = set(sys.modules)\n"
        "import orchestrator.running.executors.ray_worker\n"
        "new = sys.modules.keys() - before\n"
        f"print([name for name in {modules} if name in new], len(new))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    found, _, count = done.stdout.rpartition(" ")
    assert found == "[]"
    assert int(count) <= 25


@pytest.mark.slow  # the same cluster
def test_the_cluster_is_asked_for_its_state_now_and_then(on_ray: Counted) -> None:
    """Once a second and at the start, not once a trial: a request takes a millisecond and more on a busy head."""
    assert sum(on_ray.calls[name] for name in STATUS_CALLS) <= 5 + on_ray.seconds, on_ray.calls


def test_a_report_is_one_append_to_the_store(mirrored: Counted) -> None:
    """And a start is one; the record and the configuration are a file each, the plan of the sweep is another."""
    assert mirrored.calls["append"] == LOCAL_TRIALS * (REPORTS + 1)
    assert mirrored.calls["sync"] == LOCAL_TRIALS, "points are flushed once, when the trial ends"
    assert mirrored.calls["write"] == 2 * LOCAL_TRIALS + 1


def test_a_report_is_at_most_one_request_to_mlflow(mirrored: Counted) -> None:
    """Reports that come together travel together; a trial's own requests are few, and the sweep's do not grow."""
    per_trial, per_sweep = 6, 40
    requests = sum(mirrored.calls[name] for name in WRITES)
    assert requests <= LOCAL_TRIALS * (REPORTS + per_trial) + per_sweep, mirrored.calls
    assert mirrored.calls["create_run"] == LOCAL_TRIALS + 1
    assert mirrored.calls["log_metric"] == mirrored.calls["log_param"] == 0, "one value a request"


@pytest.mark.parametrize("where", ["mirrored", pytest.param("on_ray", marks=pytest.mark.slow)])
def test_a_trial_leaves_three_files(where: str, request: pytest.FixtureRequest) -> None:
    """Nothing of Tune, nothing of MLflow, nothing temporary."""
    found: Counted = request.getfixturevalue(where)
    for trial_id in found.outcomes:
        names = sorted(path.name for path in (found.folder / "trials" / trial_id).iterdir())
        assert names == ["attempt_001.json", "points.jsonl", "trial.json"]
    others = {path.name for path in found.folder.iterdir()} - {"mlflow.db", "mlflow.db-wal", "mlflow.db-shm"}
    assert others == {"trials", "sweeps", "driver.lock"}
