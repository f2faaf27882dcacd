"""The Ray executor on several nodes: which nodes it avoids, and what a node gets that another user has started."""

import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from orchestrator.running.executors.ray_tune import RayTune
from orchestrator.running.task import Share, Task
from orchestrator.store.attempt_record import AttemptRecord, Point, State
from orchestrator.testing.executor import RecordingController, make_tasks

pytestmark = pytest.mark.slow  # starts a cluster of two nodes


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """Two nodes of one CPU with token authentication, started in a shell that has MLflow's password."""
    from ray._private.authentication.authentication_token_setup import (
        enable_token_auth_by_default,
        ensure_token_if_auth_enabled,
    )
    from ray.cluster_utils import Cluster

    with (
        tempfile.TemporaryDirectory(prefix="ray_", dir="/tmp") as folder,  # paths of sockets must be short
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setenv("RAY_TMPDIR", folder)
        patch.setenv("MLFLOW_TRACKING_PASSWORD", "hush-hush")
        patch.setenv("RAY_health_check_period_ms", "500")  # a dead node is noticed after five checks, by default of 3 s
        enable_token_auth_by_default()  # as ray.init does for a cluster of its own
        ensure_token_if_auth_enabled()
        nodes = Cluster()
        try:
            for _ in range(2):
                nodes.add_node(num_cpus=1, include_dashboard=False)
            yield nodes
        finally:
            nodes.shutdown()


@pytest.fixture(scope="module")
def executor(cluster: Any) -> Iterator[RayTune]:
    executor = RayTune(address=cluster.address)
    yield executor
    executor.shutdown()


def reporting_work() -> Callable[[Task, Callable[[Point], None]], AttemptRecord]:
    """Work that reports its node and what it found in its environment."""

    def work(task: Task, report: Callable[[Point], None]) -> AttemptRecord:
        import orchestrator

        now = time.time()
        return AttemptRecord(
            trial_id=task.trial_id,
            attempt=task.attempt,
            state=State.LOST,  # then its worker adds the node
            started_at=now,
            ended_at=now,
            environment={
                "password": os.environ.get("MLFLOW_TRACKING_PASSWORD", "unset"),
                "code": str(orchestrator.__file__),
                "prefix": sys.prefix,
            },
        )

    return work


NODE_OF_NOBODY = "0" * 56


@dataclass(frozen=True, kw_only=True)
class Found:
    """What trials on the two nodes found."""

    nodes: tuple[str, ...]
    avoiding: list[dict[str, str]]
    """Trials that were to avoid the first node, and one that does not exist."""
    homeless: dict[str, str]
    """One that was to avoid all nodes."""


@pytest.fixture(scope="module")
def found(cluster: Any, executor: RayTune, tmp_path_factory: pytest.TempPathFactory) -> Found:
    """One run of four trials: Ray starts processes for each run, which takes seconds."""
    nodes = tuple(sorted(node.node_id for node in cluster.list_all_nodes()))
    *three, last = make_tasks(4, tmp_path_factory.mktemp("work"))
    tasks = [replace(task, avoid_nodes=(nodes[0], NODE_OF_NOBODY)) for task in three]
    controller = RecordingController([*tasks, replace(last, avoid_nodes=nodes)])
    RayTune(work=reporting_work()).run(controller)
    *avoiding, homeless = (dict(controller.records()[f"trial{number}"].environment) for number in range(4))
    return Found(nodes=nodes, avoiding=avoiding, homeless=homeless)


def test_nodes_to_avoid_are_avoided_and_dead_ones_ignored(found: Found) -> None:
    _, good = found.nodes
    assert [trial["node"] for trial in found.avoiding] == [good, good, good]


def test_if_all_nodes_are_to_be_avoided_none_is(found: Found) -> None:
    assert found.homeless["node"] in found.nodes


def test_workers_get_this_code_and_no_password(found: Found) -> None:
    for trial in (*found.avoiding, found.homeless):
        assert trial["password"] == ""
        assert trial["prefix"] == sys.prefix
        assert Path(trial["code"]).parents[1].name.startswith("_ray_pkg_"), "the driver's current folder went first"


def test_the_capacity_shrinks_when_a_node_is_lost(cluster: Any, executor: RayTune) -> None:
    assert executor.capacity == Share(cpus=2)
    lost = next(iter(cluster.worker_nodes))
    cluster.remove_node(lost, allow_graceful=False)
    deadline = time.monotonic() + 60
    while executor.capacity != Share(cpus=1) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert executor.capacity == Share(cpus=1)
