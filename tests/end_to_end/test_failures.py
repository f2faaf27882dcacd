"""Each class of failure from a real cause, through the command line, and what the table of failures does about it."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from orchestrator.running.failures import RETRY_POLICIES
from orchestrator.spec.blocks import Retries
from orchestrator.store.attempt_record import State
from orchestrator.store.run_directory import RunDirectory
from tests.end_to_end import mishaps
from tests.end_to_end.conftest import Command, attempts, environment, write_tiny
from trainer.testing.look_alikes import folder as folder_data

UNLUCKY = f"""
name: unlucky
recipe: ./tiny_recipe.yaml
method: ablation
seeds: 1
resources: {{gpus: 0}}
retries: {{back_off_seconds: 0.1}}
baseline: fine
rows:
  fine:           {{}}
  no number:      {{optim.lr: 1.0e+30}}
  a bug:          {{model.backbone: timm/resnet_of_nowhere}}
  too large:      {{contrast.temperature: {mishaps.OUT_OF_MEMORY}}}
  damaged image:  {{data.name: folder, data.root: ./data, data.test_split: val, contrast.source: none}}
  killed:         {{contrast.temperature: {mishaps.HELD}, schedule.steps: 120, schedule.eval_every_steps: 60}}
  interrupted:    {{contrast.temperature: {mishaps.HELD}, schedule.steps: 130, schedule.eval_every_steps: 65}}
"""
OVERDUE = f"""
name: overdue
recipe: ./tiny_recipe.yaml
method: ablation
seeds: 1
resources: {{gpus: 0}}
budget: {{trial_hours: 0.0005}}
rows:
  hangs:  {{contrast.temperature: {mishaps.HANGS}}}
  crawls: {{contrast.temperature: {mishaps.CRAWLS}, schedule.steps: 5000}}
"""
BROKEN = f"""
name: broken
recipe: ./tiny_recipe.yaml
method: grid
seeds: 1
resources: {{gpus: 0}}
parameters:
  model.backbone: {{value: timm/resnet_of_nowhere}}
  optim.lr: {{values: {[number / 100 for number in range(51, 101)]}}}
"""
LIMIT_SECONDS = 240.0

CAUSES = {
    State.DIVERGED: "no number",
    State.USER_ERROR: "a bug",
    State.OUT_OF_MEMORY: "too large",
    State.DATA_ERROR: "damaged image",
    State.LOST: "killed",
    State.CANCELLED: "interrupted",
}
"""Row that provokes a class; TIMED_OUT has a sweep of its own, STOPPED comes from a scheduler (test_study.py)."""


@dataclass(frozen=True)
class Played:
    """A sweep as it was left; to be looked at only."""

    code: int
    output: str
    history: dict[str, list[dict[str, Any]]]
    """Attempts by row."""


class Stage:
    """A folder with a search space, and command lines that run in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        write_tiny(folder)
        self.data = folder_data(folder / "data")
        self.whole_image = self.data.image.read_bytes()
        self.hook = folder / "hook"
        self.environment = environment() | mishaps.install(self.hook)

    def start(self, *arguments: str, **others: Any) -> subprocess.Popen[str]:
        """`python -m ARGUMENTS`; output and errors in one stream."""
        line = [sys.executable, "-m", *arguments]
        return subprocess.Popen(
            line,
            cwd=self.folder,
            env=self.environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            **others,
        )

    def run(self, *arguments: str, typed: str = "") -> tuple[int, str]:
        """Exit code and output."""
        process = self.start(*arguments, stdin=subprocess.PIPE)
        output, _ = process.communicate(typed, timeout=LIMIT_SECONDS)
        return process.returncode, output

    def play(self, name: str, text: str, *arguments: str) -> Played:
        """Run a search space to its end."""
        (self.folder / f"{name}.yaml").write_text(text)
        code, output = self.run("orchestrator.sweep", f"{name}.yaml", *arguments)
        return self.left(name, code, output)

    def left(self, name: str, code: int = 0, output: str = "") -> Played:
        """What a sweep has left."""
        sweep, records = RunDirectory(self.folder / "runs").sweep(name), attempts(self.folder)
        history = {cell.row: records.get(cell.trial_id, []) for cell in sweep.cells}
        return Played(code, output, history)

    def trial_id(self, row: str) -> str:
        """The row's trial."""
        sweep = RunDirectory(self.folder / "runs").sweep("unlucky")
        return next(cell.trial_id for cell in sweep.cells if cell.row == row)

    def reached(self, row: str) -> int:
        """The row's last step, over all attempts."""
        return max((point.step for point in RunDirectory(self.folder / "runs").points(self.trial_id(row))), default=0)


def wait_until(condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    """Wait for something that a living process is to bring about."""
    deadline = time.monotonic() + LIMIT_SECONDS
    while not condition():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline, "the sweep does not get there"
        time.sleep(0.1)


def holder_of(path: Path) -> int:
    """Id of the process that has a file open."""
    for descriptor in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            if descriptor.readlink() == path:
                return int(descriptor.parts[2])
        except OSError:
            continue
    raise AssertionError(f"{path}: nobody has it open")


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory, migrated: Path) -> Stage:
    """A folder for the sweeps of this module."""
    folder = tmp_path_factory.mktemp("stage").resolve()
    shutil.copy(migrated, folder / "mlflow.db")
    return Stage(folder)


@pytest.fixture(scope="module")
def unlucky(stage: Stage) -> Played:
    """A sweep whose rows fail each in a way of its own; one worker is killed, and at last comes Ctrl-C."""
    (stage.folder / "unlucky.yaml").write_text(UNLUCKY)
    for steps in ("120", "130"):
        (stage.hook / steps).touch()
    sweep = stage.start("orchestrator.sweep", "unlucky.yaml", "--max-concurrent", "2")
    runs = stage.folder / "runs"
    wait_until(lambda: any(runs.glob("trials/*/trial.json")), sweep)  # labels are checked, the first trial runs
    stage.data.image.write_bytes(stage.whole_image[:40])
    wait_until(lambda: stage.reached("killed") >= mishaps.HELD_STEP, sweep)
    (stage.hook / "120").unlink()
    os.kill(holder_of(runs / "trials" / stage.trial_id("killed") / "lock"), signal.SIGKILL)
    wait_until(lambda: len(stage.left("unlucky").history["killed"]) == 2, sweep)
    wait_until(lambda: stage.reached("interrupted") >= mishaps.HELD_STEP, sweep)
    sweep.send_signal(signal.SIGINT)
    output, _ = sweep.communicate(timeout=LIMIT_SECONDS)
    return stage.left("unlucky", sweep.returncode, output)


@pytest.fixture(scope="module")
def overdue(stage: Stage) -> Played:
    """A sweep whose trials take longer than they may, one of them without a word."""
    return stage.play("overdue", OVERDUE)


@pytest.fixture(scope="module")
def broken(stage: Stage) -> Played:
    """Fifty trials with one bug."""
    return stage.play("broken", BROKEN, "--executor", "serial")


@pytest.mark.slow  # a Ray of its own
@pytest.mark.parametrize(("state", "row"), CAUSES.items())
def test_a_failure_from_a_real_cause_is_classified_and_answered_as_the_table_says(
    state: State, row: str, unlucky: Played
) -> None:
    policy = RETRY_POLICIES[state]
    again = policy.retries is not None and getattr(Retries(), policy.retries) > 0
    again = again and not policy.larger_share  # there is none: these trials have no GPU
    states = [record["state"] for record in unlucky.history[row]]
    assert states == [state, State.DONE] if again else [state], unlucky.output


def test_the_table_of_causes_is_complete() -> None:
    assert set(CAUSES) | {State.TIMED_OUT, State.STOPPED, State.DAMAGED} == set(RETRY_POLICIES)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("row", "kind", "message"),
    [
        ("no number", "DivergedError", "the loss is"),
        ("a bug", "ValueError", "resnet_of_nowhere"),
        ("too large", "OutOfMemoryError", "CUDA out of memory"),
        ("damaged image", "DataError", "a.png"),
        ("killed", "WorkerLost", ""),
    ],
)
def test_a_failed_attempt_says_why(row: str, kind: str, message: str, unlucky: Played) -> None:
    error = unlucky.history[row][0]["error"]
    assert error["kind"] == kind
    assert message in error["message"]


@pytest.mark.slow
def test_a_failure_costs_its_own_trial_only(unlucky: Played) -> None:
    assert [record["state"] for record in unlucky.history["fine"]] == ["done"]


@pytest.mark.slow
def test_a_killed_trial_resumes_from_its_checkpoint(unlucky: Played, stage: Stage) -> None:
    assert first_step(stage, "killed", attempt=2) == mishaps.HELD_STEP, "a checkpoint is written at step 50"


@pytest.mark.slow
@pytest.mark.usefixtures("without_figures", "without_mlflow")
def test_ctrl_c_once_ends_the_sweep_with_its_table_and_the_trial_resumes_later(
    unlucky: Played, stage: Stage, command_here: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert unlucky.code == 130
    assert unlucky.output.endswith("interrupted; all results so far are kept, and the same command resumes the sweep\n")
    assert "fine" in (stage.folder / "reports/out/unlucky/table.md").read_text()

    line = ("orchestrator.sweep", "unlucky.yaml", "--only", "interrupted", "--executor", "serial")
    monkeypatch.chdir(stage.folder)
    refused = command_here(*line)
    assert refused.returncode == 2, "what is known to be damaged is not planned"
    assert "a.png: cannot be decoded" in refused.stderr
    stage.data.image.write_bytes(stage.whole_image)
    again = stage.start(*line[:-2])  # on Ray, which would hear SIGTERM itself
    wait_until(lambda: first_step(stage, "interrupted", attempt=2) > 0, again)
    again.send_signal(signal.SIGTERM)  # as a cluster's scheduler does
    output, _ = again.communicate(timeout=LIMIT_SECONDS)
    assert again.returncode == 130, output

    (stage.hook / "130").unlink()
    done = command_here(*line)
    assert done.returncode == 0, f"what was asked for is done: {done.stdout}{done.stderr}"
    assert [record["state"] for record in stage.left("unlucky").history["interrupted"]] == [
        "cancelled",
        "cancelled",
        "done",
    ]
    assert first_step(stage, "interrupted", attempt=3) == mishaps.HELD_STEP


def first_step(stage: Stage, row: str, attempt: int) -> int:
    """The first step that an attempt reported; 0 while there is none."""
    points = RunDirectory(stage.folder / "runs").points(stage.trial_id(row))
    return min((point.step for point in points if point.attempt == attempt and point.step > 0), default=0)


@pytest.mark.slow
@pytest.mark.parametrize("row", ["hangs", "crawls"])
def test_a_trial_that_takes_too_long_is_ended_whether_or_not_it_reports(row: str, overdue: Played) -> None:
    (record,) = overdue.history[row]
    assert record["state"] == "timed_out", overdue.output
    assert record["error"]["message"] == "the attempt took longer than budget.trial_hours (0.0005)"
    assert overdue.code == 1


@pytest.mark.slow
def test_fifty_broken_trials_stop_after_three(broken: Played) -> None:
    records = [record for history in broken.history.values() for record in history]
    assert len(broken.history) == 50
    assert [record["state"] for record in records] == ["user_error"] * 3
    assert broken.code == 1
    signature = records[0]["error"]["signature"]
    reason = f"max_consecutive_failures: 3 consecutive trials failed at the same place (signature {signature})"
    assert f"stopped: {reason}; fix it and run the same command again" in broken.output


@pytest.mark.slow
def test_status_shows_one_traceback_and_a_command_that_stops_in_the_debugger(
    broken: Played, stage: Stage, command_here: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(stage.folder)
    status = command_here("orchestrator", "status", "broken.yaml", "--all")
    assert status.returncode == 1
    output = status.stdout
    assert "broken: 50 trials: 0 done, 0 running, 3 failed, 47 not run" in output
    assert "user error, 3 trials, signature" in output
    assert output.count("Traceback (most recent call last)") == 1
    (line,) = [line for line in output.splitlines() if "debug it: " in line]
    command = shlex.split(line.partition("debug it: ")[2])
    assert command[:4] == ["python", "-m", "orchestrator.sweep", "broken.yaml"]
    assert command[-1] == "--debug"

    code, output = stage.run(*command[2:], typed="p 6 * 7\nq\n")
    assert code == 1
    assert "-> raise " in output
    assert "(Pdb) 42" in output
    assert len(stage.left("broken").history) == 50
    assert sum(len(history) for history in stage.left("broken").history.values()) == 4
