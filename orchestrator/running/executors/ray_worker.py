"""run_task: the function that Tune runs in a worker of Ray. Every worker imports this module, so it imports little."""

from __future__ import annotations

import json
import time
from typing import Any

import ray
from ray import tune

from orchestrator.running.executors.packed_task import IDLE, NODE, TASK
from orchestrator.running.executors.trial_worker import TrialWorker
from orchestrator.running.fork_server.request import POINT

__all__ = ["run_task"]

IDLE_SECONDS = 0.05
"""Time between two reports of a worker that waits after its record."""


def run_task(config: dict[str, Any], worker: TrialWorker) -> None:
    """Report the points of one task and, last, how it has ended."""
    node = ray.get_runtime_context().get_node_id()
    ended = worker.run(
        config[TASK].content, lambda point: tune.report({POINT: json.dumps(point), NODE: node}), node=node
    )
    tune.report(ended)
    while True:  # until the driver stops this trial: at its end, or later (`InFlight.holds`)
        time.sleep(IDLE_SECONDS)
        tune.report({IDLE: True})
