"""Parts of Ray are killed under a sweep, and its memory runs short: one line each, every trial done once, tables."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.end_to_end import mishaps
from tests.end_to_end.conftest import attempts, environment, processes_in, write_tiny

SPACE = f"""
name: struck
recipe: ./tiny_recipe.yaml
method: ablation
seeds: 1
resources: {{gpus: 0}}
baseline: one
rows:
  one:   {{contrast.temperature: {mishaps.HELD}, schedule.steps: 120, schedule.eval_every_steps: 60}}
  other: {{contrast.temperature: {mishaps.HELD}, schedule.steps: 130, schedule.eval_every_steps: 65}}
"""
BLOWS = {
    "gcs_server": "/gcs/gcs_server ",
    "raylet": "/raylet/raylet ",
    "agent": "ray::DashboardAgent",
    "child": "orchestrator.running.executors.child",
}
"""What is killed, one after the other, in the order of one sweep: parts of command lines."""
LINE_SECONDS = 10.0
LIMIT_SECONDS = 240.0


class Struck:
    """A sweep of two trials, which wait as long as their files exist (`mishaps.HOLD`), and the lines that it prints."""

    def __init__(self, folder: Path, ray_folder: Path, **more: str) -> None:
        self.folder, self.ray_folder, self.hook = folder, ray_folder, folder / "hook"
        write_tiny(folder)
        (folder / "struck.yaml").write_text(SPACE)
        values = environment() | mishaps.install(self.hook) | {"RAY_TMPDIR": str(ray_folder)} | more
        for steps in ("120", "130"):
            (self.hook / steps).touch()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "orchestrator.sweep", "struck.yaml", "--max-concurrent", "2"],
            cwd=folder,
            env=values,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        self.lines: list[tuple[float, str]] = []
        self.reading = threading.Thread(target=self.read)
        self.reading.start()

    def read(self) -> None:
        """Note each line with the time at which it came."""
        assert self.process.stdout is not None
        with self.process.stdout:
            for line in self.process.stdout:
                self.lines.append((time.monotonic(), line.rstrip()))

    @property
    def output(self) -> str:
        return "\n".join(line for _, line in self.lines)

    def wait_until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + LIMIT_SECONDS
        while not condition():
            assert self.process.poll() is None, self.output
            assert time.monotonic() < deadline, self.output
            time.sleep(0.05)

    def held(self, attempt: int) -> bool:
        """Whether both trials wait, at their attempts of this number."""
        records = attempts(self.folder)
        points = [path.read_text().splitlines() for path in self.folder.glob("runs/trials/*/points.jsonl")]
        step = mishaps.HELD_STEP + mishaps.FURTHER_STEPS * (attempt - 1)
        marks = f'"attempt": {attempt}', f'"step": {step}'
        waiting = [lines for lines in points if all(mark in lines[-1] for mark in marks)]
        return len(waiting) == 2 and all(len(history) == attempt - 1 for history in records.values())

    def release(self) -> int:
        """Let the trials finish; returns the exit code."""
        for steps in ("120", "130"):
            (self.hook / steps).unlink()
        code = self.process.wait(LIMIT_SECONDS)
        self.reading.join(LIMIT_SECONDS)
        return code


@pytest.fixture
def ray_folder() -> Iterator[Path]:
    """Folder for the sessions of Ray; its name is short because the paths of sockets must be."""
    with tempfile.TemporaryDirectory(prefix="ray_", dir="/tmp", ignore_cleanup_errors=True) as folder:
        yield Path(folder).resolve()


@pytest.fixture
def strike(tmp_path: Path, ray_folder: Path, migrated: Path) -> Iterator[Callable[..., Struck]]:
    """Starts a sweep, which does not outlive the test."""
    started: list[Struck] = []
    shutil.copy(migrated, tmp_path / "mlflow.db")

    def start(**more: str) -> Struck:
        started.append(Struck(tmp_path, ray_folder, **more))
        return started[-1]

    yield start
    for sweep in started:
        sweep.process.kill()
        sweep.process.wait()
        sweep.reading.join()


@pytest.mark.slow  # five starts of Ray
def test_whatever_part_of_ray_dies_a_line_says_so_and_every_trial_is_done_once(
    strike: Callable[..., Struck], ray_folder: Path
) -> None:
    sweep = strike()
    for number, mark in enumerate(BLOWS.values(), start=1):
        sweep.wait_until(lambda number=number: sweep.held(number))  # type: ignore[misc] # bound at once
        (victim,) = [pid for pid, line in processes_in(ray_folder, sweep.folder).items() if mark in line]
        struck_at = time.monotonic()
        os.kill(victim, signal.SIGKILL)
        sweep.wait_until(lambda number=number: sweep.output.count("running trials are retried") == number)  # type: ignore[misc]
        noticed_at = [at for at, line in sweep.lines if "running trials are retried" in line][-1]
        assert noticed_at - struck_at < LINE_SECONDS
    sweep.wait_until(lambda: sweep.held(len(BLOWS) + 1))
    assert sweep.release() == 0, sweep.output
    assert "Traceback" not in sweep.output
    assert "Ray's gcs_server died; running trials are retried from their last checkpoints" in sweep.output
    for history in attempts(sweep.folder).values():
        assert [record["state"] for record in history] == ["lost"] * len(BLOWS) + ["done"]
    assert (sweep.folder / "reports/out/struck/table.md").exists()


@pytest.mark.slow  # two starts of Ray
def test_after_a_memory_kill_the_trials_run_one_at_a_time(strike: Callable[..., Struck]) -> None:
    from ray._private.utils import get_system_memory, get_used_memory

    used, total = get_used_memory(), get_system_memory()
    limit = (used + min(8e9, (total - used) / 2)) / total
    sweep = strike(RAY_memory_usage_threshold=f"{limit:.4f}", RAY_memory_monitor_refresh_ms="100")
    sweep.wait_until(lambda: sweep.held(1))
    (sweep.hook / mishaps.HOG).touch()
    sweep.wait_until(lambda: "running trials are retried" in sweep.output)
    assert sweep.release() == 0, sweep.output
    assert "Traceback" not in sweep.output
    (line,) = [line for _, line in sweep.lines if "running trials are retried" in line]
    assert re.fullmatch(
        r"Ray's memory monitor ended the process, because the memory of the node was full \(.*\); running trials are "
        r"retried from their last checkpoints, 1 at a time",
        line,
    )
    records = attempts(sweep.folder)
    assert all(history[-1]["state"] == "done" for history in records.values())
    assert all(len(history) == 2 for history in records.values())
    assert "out_of_memory" in [history[0]["state"] for history in records.values()]
    first, second = sorted((history[-1] for history in records.values()), key=lambda record: record["started_at"])
    assert first["ended_at"] <= second["started_at"]
