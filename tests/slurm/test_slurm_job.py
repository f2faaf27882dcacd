"""deploy/slurm.sh on a real Slurm of three nodes on this machine: a job that is requeued and finishes, or lacks a node.

Skipped where Slurm is not installed. Takes about 90 s on two idle cores.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from orchestrator.sweep import main as sweep_main
from tests.end_to_end import mishaps
from tests.end_to_end.conftest import TINY_RECIPE, environment
from tests.orchestrator.conftest import log_and_draw_nothing
from tests.slurm.local_slurm import LocalSlurm, why_not

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(bool(why_not()), reason=why_not()),
]

PROJECT = Path(__file__).resolve().parents[2]
STEPS = 120
HELD_ROW = "held"
SPACE = f"""
name: batch
recipe: ./tiny_recipe.yaml
method: ablation
seeds: 1
resources: {{gpus: 0}}
baseline: plain
rows:
  plain: {{}}
  {HELD_ROW}: {{contrast.temperature: {mishaps.HELD}, schedule.steps: {STEPS}, schedule.eval_every_steps: 60}}
"""
MOST_LINES = 48
ENDS_SECONDS = 240.0


class Stage:
    """A cluster, and a folder to submit jobs from."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "slurm").mkdir(mode=0o755)
        self.slurm = LocalSlurm(folder / "slurm", nodes=3, cpus=2)
        self.hook = mishaps.install(folder / "hook")
        (folder / "tiny_recipe.yaml").write_text(TINY_RECIPE, encoding="utf-8")
        (folder / "batch.yaml").write_text(SPACE, encoding="utf-8")
        (folder / "n").mkdir()

    def submit(self, run_dir: str, *, nodes: int = 2, path: str = "", **variables: str) -> str:
        """Submit a sweep; `path` comes before the usual folders of programs."""
        programs = ":".join(filter(None, (path, str(Path(sys.executable).parent), os.environ["PATH"])))
        given = environment() | self.hook | {"PATH": programs, "NODE_FOLDER": str(self.folder / "n")} | variables
        options = [f"--nodes={nodes}", "--cpus-per-task=1", "--gpus-per-node=0", f"{PROJECT}/deploy/slurm.sh"]
        sweep = ["batch.yaml", "--run-dir", run_dir, "--out", f"{run_dir}-out", "--tracking-uri", f"{run_dir}-mlruns"]
        return self.slurm.submit([*options, *sweep], self.folder, given)

    def wait_for(self, job: str, *states: str) -> str:
        """State, exit code and number of restarts of a job once it is in one of `states`; the log if it never is."""
        try:
            self.slurm.wait(lambda: self.slurm.state(job).startswith(states), ENDS_SECONDS)
        except RuntimeError as error:
            nodes = [path.read_text(errors="replace")[-2000:] for path in self.folder.glob("slurm-*.nodes/*")]
            raise AssertionError("\n".join([self.log(job), *nodes, str(error)])) from error
        return self.slurm.state(job)

    def log(self, job: str) -> str:
        """What the job has printed."""
        path = self.folder / f"slurm-{job}.out"
        return path.read_text(encoding="utf-8") if path.exists() else ""

    def curves(self, run_dir: str) -> dict[str, dict[int, dict[str, float]]]:
        """By trial and step, all that was measured, without costs."""
        found: dict[str, dict[int, dict[str, float]]] = {}
        for path in sorted((self.folder / run_dir).glob("trials/*/points.jsonl")):
            for line in path.read_text().splitlines():
                point = json.loads(line)
                found.setdefault(path.parent.name, {})[point["step"]] = without_costs(point["metrics"])
        return found

    def records(self, run_dir: str) -> dict[str, list[dict[str, Any]]]:
        """By trial, its attempts."""
        found: dict[str, list[dict[str, Any]]] = {}
        for path in sorted((self.folder / run_dir).glob("trials/*/attempt_*.json")):
            found.setdefault(path.parent.name, []).append(json.loads(path.read_text()))
        return found

    def wait_until_held(self, run_dir: str, *, attempt: int) -> None:
        """Wait until an attempt at the held trial reports beyond its checkpoint."""

        def held() -> bool:
            return any(step >= mishaps.HELD_STEP for step in self.steps(run_dir, attempt=attempt))

        self.slurm.wait(held, ENDS_SECONDS)

    def steps(self, run_dir: str, *, attempt: int, trial_id: str = "*") -> list[int]:
        """The steps that attempts with this number, at all trials or at one, have reported."""
        lines = [
            json.loads(line)
            for path in (self.folder / run_dir).glob(f"trials/{trial_id}/points.jsonl")
            for line in path.read_text().split("\n")[:-1]
        ]
        return [point["step"] for point in lines if point["attempt"] == attempt and point["metrics"]]

    def left_over(self) -> list[str]:
        """Folders of Ray and processes that work in them."""
        folders = [path.name for path in (self.folder / "n").iterdir()]
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                line = (entry / "cmdline").read_text(errors="replace").replace("\0", " ")
            except OSError:
                continue
            if str(self.folder / "n") in line:
                folders.append(line)
        return folders


def without_costs(metrics: dict[str, float]) -> dict[str, float]:
    """Metrics that are equal in each run of a trial."""
    return {key: value for key, value in metrics.items() if not key.startswith(("cost/", "system/"))}


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    """The cluster; its folder has a short path, as sockets are in it."""
    folder = Path(tempfile.mkdtemp(prefix="cs-slurm-", dir="/tmp"))
    stage = Stage(folder)
    try:
        stage.slurm.start()
    except (RuntimeError, OSError) as error:
        stage.slurm.stop()
        shutil.rmtree(folder, ignore_errors=True)
        pytest.skip(f"Slurm does not start here: {error}")
    yield stage
    stage.slurm.stop()
    shutil.rmtree(folder, ignore_errors=True)


def train_undisturbed(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same sweep in this process, without Slurm, Ray and MLflow, in the run directory `undisturbed`."""
    monkeypatch.chdir(stage.folder)
    log_and_draw_nothing(monkeypatch)
    places = ("--run-dir", "undisturbed", "--out", "undisturbed-out")
    assert sweep_main(["batch.yaml", "--executor", "serial", *places]) == 0


def check_log(log: str) -> None:
    """A log is short, and complains of nothing when the sweep was finished."""
    assert len(log.splitlines()) <= MOST_LINES, log
    assert not re.search(r"srun|error|Traceback|Terminated|command not found", log), log


def test_a_job_that_is_requeued_by_itself_and_by_slurm_resumes_with_the_same_bits(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """First its limit is near; then Slurm ends it with SIGTERM, as for preemption and `scontrol requeue`.

    In the end it has finished quietly and leaves nothing.
    """
    hold = stage.folder / "hook" / str(STEPS)
    hold.touch()
    job = stage.submit("requeued")
    try:
        train_undisturbed(stage, monkeypatch)  # while the nodes start
        stage.wait_until_held("requeued", attempt=1)
        stage.slurm.run("scancel", "--batch", "--signal=USR1", job)  # what `#SBATCH --signal=B:USR1@300` sends
        stage.slurm.wait(lambda: stage.slurm.state(job).endswith(" 1"), 120)
        stage.wait_until_held("requeued", attempt=2)
        stage.slurm.run("scontrol", "requeue", job)
        stage.slurm.wait(lambda: stage.slurm.state(job).endswith(" 2"), 120)
        hold.unlink()
        state = stage.wait_for(job, "COMPLETED", "FAILED", "CANCELLED")
    finally:
        sys.stdout.write(stage.log(job))  # pytest shows it if the test fails
    assert state == "COMPLETED 0:0 2"

    log = stage.log(job)
    assert log.startswith("2 of 2 nodes joined Ray\n")
    assert log.count("2 of 2 nodes joined Ray") == 3
    assert "[2/2]" in log
    assert log.count("requeued (1 of at most 30); the sweep resumes where it stopped") == 1
    assert "requeued (2" not in log, "Slurm has done it"
    check_log(re.sub("slurmstepd-.* DUE TO JOB REQUEUE .*\n", "", log))
    undisturbed, records = stage.records("undisturbed"), stage.records("requeued")
    assert records.keys() == undisturbed.keys()
    for trial_id, attempts in records.items():
        last, (only,) = attempts[-1], undisturbed[trial_id]
        assert last["state"] == only["state"] == "done"
        assert without_costs(last["metrics"]) == without_costs(only["metrics"])
    assert stage.curves("requeued") == stage.curves("undisturbed")
    held = max(records.values(), key=lambda attempts: attempts[-1]["attempt"])
    assert held[-1]["attempt"] == 3
    assert held[0]["state"] == "cancelled", "the first stop is gentle"
    for attempt in (2, 3):
        resumed = [step for step in stage.steps("requeued", attempt=attempt, trial_id=held[-1]["trial_id"]) if step]
        assert min(resumed) >= mishaps.HELD_STEP, "a checkpoint is written at step 50"
    assert not (stage.folder / f"slurm-{job}.nodes").exists()
    assert stage.left_over() == []


def test_a_node_that_does_not_join_ends_the_job_at_once_by_name(stage: Stage) -> None:
    broken = stage.folder / "broken"
    broken.mkdir()
    ray = Path(sys.executable).parent / "ray"
    (broken / "ray").write_text(
        f'#!/bin/sh\n[ "$SLURMD_NODENAME" != node2 ] || {{ echo no GPU >&2; exit 3; }}\nexec {ray} "$@"\n'
    )
    (broken / "ray").chmod(0o755)
    job = stage.submit("missing", path=str(broken))
    assert stage.wait_for(job, "COMPLETED", "FAILED", "CANCELLED") == "FAILED 1:0 0"
    first, second = stage.log(job).splitlines()
    assert re.fullmatch(r"[01] of 2 nodes joined Ray; missing: (node1 )?node2", first)
    nodes = stage.folder / f"slurm-{job}.nodes"
    assert second == f"not all nodes joined within 300 s; see {nodes}, or leave a node out by sbatch --exclude=NODE"
    assert (nodes / "node2.log").read_text() == "no GPU\n"
    assert not (stage.folder / "missing").exists(), "the sweep has not started"
    assert nodes.stat().st_mode & 0o077 == 0
    assert stage.left_over() == []
