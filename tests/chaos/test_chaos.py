"""Kills driver, workers and raylet of a sweep at random moments: nothing is lost, done twice or left running."""

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from orchestrator.commands.sync import differences
from tests.end_to_end.conftest import attempts, environment, processes_in, write_tiny

ROUNDS = int(os.environ.get("CHAOS_ROUNDS", "6"))
"""Number of kills. On two busy cores 20 took 9 minutes and 6 took 4, most of it for the start of Ray in each driver and
the import of torch in its workers."""
VICTIMS = ("worker", "worker", "worker", "driver", "driver", "raylet")
"""The processes killed in six rounds, in random order."""
RULES = """
resources: {gpus: 0}
retries: {lost: 20, back_off_seconds: 0.2}
"""
STEPS = 110
WAIT_SECONDS = 300.0


class Chaos:
    """A sweep whose processes are killed, and which is started again whenever its driver has ended."""

    def __init__(self, folder: Path, ray_folder: Path, draw: random.Random) -> None:
        self.folder, self.ray_folder, self.draw = folder, ray_folder, draw
        self.seeds = max(3, ROUNDS // 3)
        self.sweep: subprocess.Popen[bytes] | None = None
        self.victims: list[str] = []
        self.kills = 0

    def start(self) -> subprocess.Popen[bytes]:
        """Run the command of the sweep, as a user would."""
        line = [sys.executable, "-m", "orchestrator.sweep", "tiny.yaml", "--name", "tiny", "--seeds", str(self.seeds)]
        values = environment() | {"RAY_TMPDIR": str(self.ray_folder)}
        with (self.folder / "output.txt").open("ab") as output:
            return subprocess.Popen(line, cwd=self.folder, env=values, stdout=output, stderr=output)

    def alive(self) -> subprocess.Popen[bytes]:
        """The running driver; a new one, if the last has ended, with more seeds if all trials were done."""
        if self.sweep is not None and self.sweep.poll() is not None:
            if self.sweep.returncode == 0:
                self.seeds += 2
            self.sweep = None
        if self.sweep is None:
            self.sweep = self.start()
        return self.sweep

    def strike(self) -> None:
        """Wait for a random moment, then kill a process."""
        self.victims = self.victims or self.draw.sample(VICTIMS, len(VICTIMS))
        victim, sweep = self.victims.pop(), self.alive()
        waits_for_progress = victim != "driver" or self.draw.random() < 0.5  # without a raylet Ray starts for a minute
        reports = self.reports()
        deadline = time.monotonic() + WAIT_SECONDS
        while waits_for_progress and self.reports() == reports and time.monotonic() < deadline:
            sweep = self.alive()
            time.sleep(0.1)
        time.sleep(self.draw.uniform(0, 2))
        while (pid := self.find(victim, sweep.pid)) is None:
            assert time.monotonic() < deadline, f"no {victim} to kill after {WAIT_SECONDS:g} s"
            sweep = self.alive()
            time.sleep(0.05)
        if victim == "driver" and sweep.poll() is not None:
            return
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
            self.kills += 1
        if victim == "driver":
            sweep.wait()

    def end(self) -> None:
        """Let the sweep finish: a driver whose raylet was killed ends early and is started again."""
        deadline = time.monotonic() + WAIT_SECONDS
        while self.alive().wait(WAIT_SECONDS) != 0:
            assert time.monotonic() < deadline, (self.folder / "output.txt").read_text()

    def stop(self) -> None:
        """Leave no driver running, also when the test has failed."""
        if self.sweep is not None and self.sweep.poll() is None:
            self.sweep.kill()
            self.sweep.wait()

    def find(self, victim: str, driver: int) -> int | None:
        """Id of a running process of that kind."""
        if victim == "driver":
            return driver
        marks = {"worker": "ray::ImplicitFunc", "raylet": "/raylet/raylet "}
        found = [pid for pid, line in processes_in(self.ray_folder).items() if marks[victim] in line]
        return self.draw.choice(found) if found else None

    def reports(self) -> int:
        """Size of all curves in bytes."""
        return sum(path.stat().st_size for path in self.folder.glob("runs/trials/*/points.jsonl"))


@pytest.fixture
def ray_folder() -> Iterator[Path]:
    """Folder for the sessions of Ray; its name is short because the paths of sockets must be."""
    with tempfile.TemporaryDirectory(prefix="chaos_", ignore_cleanup_errors=True) as folder:
        yield Path(folder).resolve()


@pytest.mark.slow  # a new Ray after each death of a driver
@pytest.mark.timeout(300 + 60 * ROUNDS)
def test_every_trial_is_done_once_and_all_agree_after_kills_at_random_moments(
    tmp_path: Path, ray_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_tiny(tmp_path)
    recipe = (tmp_path / "tiny_recipe.yaml").read_text()
    schedule = f"steps: {STEPS}, batch_size: 4, eval_every_steps: {STEPS // 5}"
    recipe = recipe.replace("steps: 8, batch_size: 4, eval_every_steps: 4", schedule)
    (tmp_path / "tiny_recipe.yaml").write_text(recipe)
    (tmp_path / "tiny.yaml").write_text((tmp_path / "tiny.yaml").read_text() + RULES)
    chaos = Chaos(tmp_path, ray_folder, random.Random(2021))
    finished: dict[str, list[dict[str, Any]]] = {}
    try:
        while chaos.kills < ROUNDS:
            chaos.strike()
            now = attempts(tmp_path)
            assert all(now[trial_id] == history for trial_id, history in finished.items()), "a finished trial ran again"
            finished = {key: history for key, history in now.items() if history[-1]["state"] == "done"}
        chaos.end()
    finally:
        chaos.stop()
    check_records(tmp_path, chaos.seeds)
    check_mlflow(tmp_path)
    check_processes(tmp_path, ray_folder)


def check_records(folder: Path, seeds: int) -> None:
    """Every trial is done, once, at its last attempt; its attempts are numbered without gaps."""
    final = attempts(folder)
    assert len(final) == 2 * seeds
    for history in final.values():
        states = [record["state"] for record in history]
        assert states == [*["lost"] * (len(states) - 1), "done"], history
        assert [record["attempt"] for record in history] == list(range(1, len(states) + 1))


def check_mlflow(folder: Path) -> None:
    """A parent and one child per trial, all FINISHED, with every point of the store once and nothing else."""
    client = MlflowClient(tracking_uri=f"sqlite:///{folder / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("contrast-sweep")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id])
    assert {run.info.status for run in runs} == {"FINISHED"}
    assert len([run for run in runs if run.data.tags["role"] == "sweep"]) == 1
    children = {run.data.tags["trial_id"]: run for run in runs if run.data.tags["role"] == "trial"}
    records = attempts(folder)
    assert len(runs) == 1 + len(children)
    assert set(children) == set(records)
    for trial_id, run in children.items():
        assert run.data.tags["attempt"] == str(len(records[trial_id]))
    (name,) = {run.data.tags["sweep"] for run in runs}
    assert differences("runs", name, f"sqlite:///{folder / 'mlflow.db'}") == []


def check_processes(*folders: Path) -> None:
    """No process of any driver is left; Ray's agents wait a minute for the server of a dead driver."""
    deadline = time.monotonic() + 90
    while processes_in(*folders) and time.monotonic() < deadline:
        time.sleep(0.5)
    assert processes_in(*folders) == {}, "a process outlived its sweep"
