"""SIGKILL to the driver's whole process group in mid-sweep, then the same command: nothing lost, nothing twice."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from mlflow import MlflowClient

from tests.end_to_end.conftest import Command, attempts, environment

KILLS = 3


def start(folder: Path) -> subprocess.Popen[bytes]:
    """The sweep in a process group of its own."""
    line = [sys.executable, "-m", "orchestrator.sweep", "tiny.yaml", "--set", "schedule.steps=40"]
    output = (folder / "output.txt").open("ab")
    with output:
        return subprocess.Popen(
            line, cwd=folder, env=environment(), stdout=output, stderr=output, start_new_session=True
        )


def processes_in(folder: Path) -> dict[int, str]:
    """Other processes whose current folder is the test's: the driver, its Ray workers, anything they left behind."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if (entry / "cwd").readlink() == folder and int(entry.name) != os.getpid():
                found[int(entry.name)] = (entry / "cmdline").read_text().replace("\0", " ")
        except OSError:
            continue
    return found


@pytest.mark.slow
def test_three_kills_at_random_moments_lose_nothing_and_repeat_nothing(folder: Path, command: Command) -> None:
    draw = random.Random(2021)
    finished: dict[str, list[dict[str, object]]] = {}
    interrupted = 0
    for _ in range(KILLS):
        sweep = start(folder)
        deadline = time.monotonic() + 120
        started = len(attempts(folder))
        while sweep.poll() is None and time.monotonic() < deadline:  # wait for life, then strike at random
            if len(list(folder.glob("runs/trials/*/points.jsonl"))) > started:
                time.sleep(draw.uniform(0, 4))
                break
            time.sleep(0.1)
        if sweep.poll() is None:
            os.killpg(sweep.pid, signal.SIGKILL)
            interrupted += 1
        sweep.wait()
        now = attempts(folder)
        for trial_id, history in finished.items():
            assert now[trial_id] == history, "a finished trial was touched again"
        finished = {key: history for key, history in now.items() if history[-1]["state"] == "done"}
    assert interrupted == KILLS, (folder / "output.txt").read_text()

    last = command("orchestrator.sweep", "tiny.yaml", "--set", "schedule.steps=40")
    assert last.returncode == 0, last.stdout + last.stderr
    final = attempts(folder)
    assert len(final) == 4
    for trial_id, history in final.items():
        assert [record["state"] for record in history][-1] == "done"
        assert sum(record["state"] == "done" for record in history) == 1
        assert trial_id not in finished or history == finished[trial_id]

    client = MlflowClient(tracking_uri=f"sqlite:///{folder / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("contrast-sweep")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id])
    assert len([run for run in runs if run.data.tags["role"] == "sweep"]) == 1
    assert len([run for run in runs if run.data.tags["role"] == "trial"]) == 4
    assert {run.info.status for run in runs} == {"FINISHED"}
    for run in runs:
        for key in run.data.metrics:
            steps = [metric.step for metric in client.get_metric_history(run.info.run_id, key)]
            assert len(steps) == len(set(steps)) or key.startswith("trials/"), f"{key} was logged twice at a step"

    deadline = time.monotonic() + 30
    while processes_in(folder) and time.monotonic() < deadline:
        time.sleep(0.5)
    assert processes_in(folder) == {}, "a process outlived its sweep"
