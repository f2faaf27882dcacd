"""`python lose_a_node.py SPEC.yaml`: a sweep on two nodes, one of which is killed in mid-run; prints what happened.

All of it is one process, so that the killing can wait until every node is in the middle of a trial: trials whose
temperature is `mishaps.HELD` wait there until a file is removed, which the killing does.
"""

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from unittest import mock

from orchestrator.running.task import Task
from orchestrator.store.attempt_record import AttemptRecord, Point, State
from tests.end_to_end.mishaps import HELD, HELD_STEP, HOLD
from tests.orchestrator.conftest import NoFollower
from trainer.config import Runtime

EVERY = 4
"""Steps between reports, and between checkpoints."""
NODES = 2
DONE_FIRST = 2
"""Trials that have ended before a node is killed."""


class Killer:
    """A tracker that kills a node of `cluster`, once."""

    def __init__(self, cluster: Any, resources: Callable[[], Mapping[str, float]]) -> None:
        self.cluster = cluster
        self.resources = resources
        self.steps: dict[str, int] = {}
        """Last reported step of the running trials."""
        self.held: set[str] = set()
        self.done: list[str] = []
        self.killed: dict[str, Any] = {}

    def planned(self, sweep: object) -> None: ...

    def begin(self, sweep: object, outcomes: object) -> None: ...

    def finish(self, outcomes: object, artifacts: object, completed: bool) -> None: ...

    def started(self, task: Task) -> None:
        self.steps[task.trial_id] = 0

    def reported(self, task: Task, point: Point) -> None:
        self.steps[task.trial_id] = point.step
        if point.step == HELD_STEP and task.config.contrast.temperature == HELD:
            self.held.add(task.trial_id)
        if not self.killed and len(self.held) == NODES and len(self.done) >= DONE_FIRST:
            self.kill()
            Path(os.environ[HOLD], str(task.config.schedule.steps)).unlink()

    def kill(self) -> None:
        node = sorted(self.cluster.worker_nodes, key=lambda node: node.node_id)[0]
        self.killed = {"at": time.time(), "node": node.node_id, "done": list(self.done), "steps": dict(self.steps)}
        self.cluster.remove_node(node, allow_graceful=False)

    def ended(self, task: Task, record: AttemptRecord) -> None:
        del self.steps[task.trial_id]
        if record.state is State.DONE:
            self.done.append(task.trial_id)

    def gpus_left(self) -> float:
        """What the cluster has once it has noticed the loss, which takes its health checks up to half a minute."""
        until = time.monotonic() + 60
        while (left := self.resources()["GPU"]) > NODES - 1 and time.monotonic() < until:
            time.sleep(0.2)
        return left


def main(spec: str) -> None:
    """Sweep, kill, print."""
    import ray
    from ray.cluster_utils import Cluster

    import orchestrator.api as api

    runtime = Runtime(device="cpu", threads=1, log_every_steps=EVERY, checkpoint_every_steps=EVERY)
    cluster = Cluster()
    try:
        for _ in range(NODES):  # GPUs that are declared only: what a trial takes of a node, not what it computes on
            cluster.add_node(num_cpus=1, num_gpus=1, include_dashboard=False)
        ray.init(address=cluster.address, log_to_driver=False)  # of this test: the driver runs Ray in another process
        killer = Killer(cluster, ray.cluster_resources)
        with (
            mock.patch.object(api, "runtime_of", return_value=runtime),
            mock.patch.object(api, "open_follower", return_value=NoFollower()),
        ):
            result = api.sweep(spec, options=api.RunOptions(address=cluster.address), trackers=[killer])
        left = killer.gpus_left()
    finally:
        ray.shutdown()
        cluster.shutdown()
    summary: Mapping[str, Any] = {"completed": result.completed, "killed": killer.killed, "gpus_left": left}
    Path("summary.json").write_text(json.dumps(summary), encoding="utf-8")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="ray_", dir="/tmp") as folder:  # short: paths of sockets are
        os.environ["RAY_TMPDIR"] = folder
        main(sys.argv[1])
