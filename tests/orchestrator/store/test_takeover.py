"""A real takeover: a driver is suspended in mid-trial, another one takes its lease, and its trial comes to its end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from orchestrator.store.run_directory import RunDirectory
from tests.end_to_end import mishaps
from tests.end_to_end.conftest import write_tiny

SPACE = f"""
name: held
recipe: ./tiny_recipe.yaml
method: ablation
seeds: 1
retries: {{lost: 50, back_off_seconds: 0.05}}
baseline: one
rows:
  one: {{contrast.temperature: {mishaps.HELD}, schedule.steps: 120, schedule.eval_every_steps: 60}}
"""
DRIVER = """
import sys
from functools import partial
import orchestrator.store.lock as lock
import trainer.run
from orchestrator import api
from orchestrator.sweep import main
from tests.orchestrator.conftest import NoFollower
api.open_follower = lambda options, name: NoFollower()
lock.LeaseTimings = partial(lock.LeaseTimings, renew_seconds=0.2, dead_seconds=2.0, settle_seconds=0.1)
trainer.run.exclusive = partial(trainer.run.exclusive, wait_seconds=0.1)
sys.exit(main(sys.argv[1:]))
"""
LIMIT_SECONDS = 120.0

Start = Callable[[str], subprocess.Popen[bytes]]


@pytest.fixture
def start(tmp_path: Path, bucket: str) -> Iterator[Start]:
    """Starts a driver with short times, on this machine: all of them work in the same folder."""
    write_tiny(tmp_path)
    (tmp_path / "held.yaml").write_text(SPACE, encoding="utf-8")
    values = os.environ | mishaps.install(tmp_path / "hook")
    (tmp_path / "hook" / "120").touch()
    started: list[subprocess.Popen[bytes]] = []

    def begin(name: str) -> subprocess.Popen[bytes]:
        line = [sys.executable, "-c", DRIVER, "held.yaml", "--run-dir", bucket, "--out", name, "--executor", "serial"]
        with (tmp_path / f"{name}.txt").open("wb") as output:
            started.append(subprocess.Popen(line, cwd=tmp_path, env=values, stdout=output, stderr=output))
        return started[-1]

    yield begin
    for process in started:
        process.kill()
        process.wait()


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + LIMIT_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.2)  # each look is some requests, which this process answers


@pytest.mark.slow  # two drivers that train
def test_the_trial_of_a_suspended_driver_is_lost_and_retried_by_the_one_that_takes_over(
    start: Start, bucket: str, tmp_path: Path
) -> None:
    def states() -> list[str]:
        names = [f"trials/{trial_id}/{name}" for trial_id in trial_ids() for name in records_of(trial_id)]
        contents = (runs.files.read(name) for name in names)
        return [json.loads(content)["state"] for content in contents if content is not None]

    def records_of(trial_id: str) -> list[str]:
        return sorted(name for name in runs.files.names(f"trials/{trial_id}") if name.startswith("attempt_"))

    def trial_ids() -> list[str]:
        return runs.files.names("trials")

    runs = RunDirectory(bucket)
    first = start("first")
    wait_until(lambda: any(point.step == mishaps.HELD_STEP for key in trial_ids() for point in runs.points(key)))
    first.send_signal(signal.SIGSTOP)
    second = start("second")
    wait_until(lambda: len(states()) >= 2)  # that of the first driver, and one that met its process
    first.send_signal(signal.SIGCONT)
    assert first.wait(LIMIT_SECONDS) != 0
    (tmp_path / "hook" / "120").unlink()
    assert second.wait(LIMIT_SECONDS) == 0, (tmp_path / "second.txt").read_text()
    assert states() == ["lost"] * (len(states()) - 1) + ["done"]
    output = (tmp_path / "first.txt").read_text()
    assert "did not renew its lease in time and lost it" in output, "to a process that may have ended since"
    assert "Traceback" not in output
