"""Runs in MLflow whose driver has died. They take 6 seconds."""

from __future__ import annotations

import io
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator.errors import OutageError
from orchestrator.store.lock import holder_of
from orchestrator.store.record_store import RecordStore
from orchestrator.store.sweep_record import SweepRecord
from orchestrator.tracking.follower_process import FollowerProcess
from orchestrator.tracking.mlflow_store import EXPERIMENT, Server
from tests.orchestrator.tracking.conftest import World
from tests.processes import is_alive

OPENING = {"live_table": "", "timings": {"round_seconds": 0.05}}


def until(condition: Callable[[], object]) -> None:
    """Wait for it, a bounded time."""
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def statuses(world: World) -> set[str]:
    """The statuses of all runs of the sweep."""
    if world.client.get_experiment_by_name(EXPERIMENT) is None:
        return set()
    return {run.info.status for role in ("sweep", "trial") for run in world.runs(role)}


@pytest.fixture
def child(world: World, sweep: SweepRecord) -> FollowerProcess:
    """What the child process of a follower does, in a thread, for a sweep with one running trial."""
    with world.store.lock():  # the file keeps the name of its holder, as that of a killed driver
        world.store.write_sweep(sweep)
        world.store.start("base0", 1, {"seed": 0}, time=100.0)
        child = FollowerProcess(
            {**OPENING, "uri": world.uri, "run_dir": str(world.store.location)}, Server, io.StringIO()
        )
        threading.Thread(target=child.work, daemon=True).start()
        child.hear({"event": "begin", "sweep": sweep.name, "running": ["base0"]})
        child.hear({"trial": "base0", "running": True})
        until(lambda: statuses(world) == {"RUNNING"} and len(world.runs("trial")) == 1)
    return child


def test_the_runs_of_a_driver_that_died_are_ended_and_nothing_else_is_written(
    world: World, child: FollowerProcess
) -> None:
    child.abandon()
    assert statuses(world) == {"KILLED"}
    child.hear({"trial": "full0", "running": True})
    assert not child.delivering.acquire(timeout=0.3), "no further round"
    assert child.server is None or child.server.closed


def test_the_runs_of_another_driver_are_its_own_matter(world: World, child: FollowerProcess) -> None:
    with RecordStore(world.store.location).lock():
        child.abandon()
        assert statuses(world) == {"RUNNING"}


def test_a_closed_server_makes_no_request(world: World) -> None:
    server = Server(world.uri)
    server.closed = True
    with pytest.raises(OutageError, match="no further request"):
        server.create("run", {}, 0.0)


def test_the_holder_is_told_for_a_folder_and_for_an_object_store(tmp_path: Path, memory: str) -> None:
    for place in (str(tmp_path / "runs"), memory):
        store = RecordStore(place)
        assert holder_of(store.files) == ""
        found = []
        for _ in range(2):
            with store.lock():
                found.append(holder_of(store.files))
        assert all(found)
        assert found[0] != found[1]


DRIVER = """
import sys, time
from orchestrator.store.record_store import RecordStore
from orchestrator.tracking.follower import Follower

store = RecordStore(sys.argv[2])
with store.lock():
    follower = Follower(sys.argv[1], sys.argv[2])
    follower.begin(store.sweep("tiny"), {})
    print(follower.process.pid if follower.process else 0, flush=True)
    time.sleep(600)
"""


def test_after_a_sigkill_of_the_driver_no_run_says_running(world: World, sweep: SweepRecord) -> None:
    world.store.write_sweep(sweep)
    line = [sys.executable, "-c", DRIVER, world.uri, str(world.store.location)]
    with subprocess.Popen(line, stdout=subprocess.PIPE) as driver:
        assert driver.stdout is not None
        driver.stdout.readline()
        until(lambda: statuses(world) == {"RUNNING"})
        children = Path(f"/proc/{driver.pid}/task/{driver.pid}/children").read_text().split()
        driver.kill()
    until(lambda: statuses(world) == {"KILLED"})
    until(lambda: not any(is_alive(int(pid)) for pid in children))
