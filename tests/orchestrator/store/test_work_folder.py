"""The folder of a trainer of the user's own: everything in it travels, and nothing of other code is resumed."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator.errors import StoreError
from orchestrator.store.backends import open_files
from orchestrator.store.backends.base import SCRATCH_FOLDER
from orchestrator.store.backends.object_store import ObjectFiles
from orchestrator.store.cleanup import foreign_folders, unreferenced_trials
from orchestrator.store.run_directory import RunDirectory
from orchestrator.store.work_folder import WorkFolder

PROJECT = Path(__file__).resolve().parents[3]
SECONDS = 120


def put(folder: Path, **contents: str) -> None:
    """Files as a trainer leaves them; `checkpoint_50__weights` becomes checkpoint_50/weights."""
    for name, content in contents.items():
        path = folder / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")


def read(folder: Path) -> dict[str, str]:
    """What is in the folder, without our own files."""
    found = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    return {name: path.read_text(encoding="utf-8") for name, path in found.items() if not name.startswith(".")}


def in_store(run_dir: str) -> set[str]:
    return {name for name in open_files(run_dir).sizes("trials/a/work") if not name.startswith(".")}


def test_folders_of_checkpoints_travel_and_rotate(memory: str, tmp_path: Path) -> None:
    here = WorkFolder(RunDirectory(memory), "a", tmp_path / "here")
    assert here.open("c1", ["c1"]) == "c1"
    put(here.path, checkpoint_50__weights="50", checkpoint_50__optimiser="50", log="step 50")
    (here.path / "half.partial").write_text("half", encoding="utf-8")
    here.upload(ended=True)
    assert in_store(memory) == {"checkpoint_50/weights", "checkpoint_50/optimiser", "log"}
    shutil.rmtree(here.path / "checkpoint_50")
    put(here.path, checkpoint_100__weights="100", log="step 100")
    here.upload(ended=True)
    there = WorkFolder(RunDirectory(memory), "a", tmp_path / "there")
    assert there.open("c1", ["c1"]) == "c1"
    assert read(there.path) == {"checkpoint_100/weights": "100", "log": "step 100"}

    put(there.path, checkpoint_150__weights="150")
    shutil.rmtree(there.path / "checkpoint_100")
    there.upload(ended=True)
    here.open("c1", ["c1"])
    (here.path / "half.partial").unlink()
    assert read(here.path) == {"checkpoint_150/weights": "150", "log": "step 100"}, "as the other machine left it"


def test_the_file_that_was_written_last_is_copied_last_and_a_failure_is_made_up_for(
    memory: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[str] = []
    upload = ObjectFiles.upload

    def break_off(files: ObjectFiles, path: Path, key: str) -> None:
        if path.name == "pointer":
            raise StoreError("the line is dead")
        sent.append(path.name)
        upload(files, path, key)

    work = WorkFolder(RunDirectory(memory), "a", tmp_path / "here")
    work.open("c1", ["c1"])
    for name in ("weights", "optimiser", "pointer"):
        put(work.path, **{name: "50"})
    with monkeypatch.context() as patch:
        patch.setattr(ObjectFiles, "upload", break_off)
        with pytest.raises(StoreError, match="the line is dead"):
            work.upload(ended=True)
    assert sent == [".code", "weights", "optimiser"]
    work.upload(ended=True)
    assert in_store(memory) == {"weights", "optimiser", "pointer"}


def test_copying_takes_a_tenth_of_the_time_at_most_but_at_the_end(memory: str, tmp_path: Path) -> None:
    now = [0.0]

    def clock() -> float:
        now[0] += 1.0  # so each copy takes a second
        return now[0]

    work = WorkFolder(RunDirectory(memory), "a", tmp_path / "here", clock=clock)
    work.open("c1", ["c1"])
    copies = []
    for step in range(100):
        put(work.path, weights=f"{step:03d}")
        work.upload()
        copies.append(open_files(memory).read("trials/a/work/weights"))
    assert 5 <= len(set(copies)) <= 20
    work.upload(ended=True)
    assert open_files(memory).read("trials/a/work/weights") == b"099"


@pytest.mark.parametrize("remote", [False, True])
def test_what_other_code_has_left_is_removed_unless_it_is_accepted(remote: bool, memory: str, tmp_path: Path) -> None:
    run_dir = memory if remote else str(tmp_path / "runs")
    path = tmp_path / "runs" / "trials" / "a" / "work"

    def attempt(code: str, accepted: list[str]) -> tuple[str, dict[str, str]]:
        work = WorkFolder(RunDirectory(run_dir), "a", path)
        codes, found = work.open(code, accepted), read(path)
        put(path, weights=code, **({"queue": code} if code == "c1" else {}))
        work.upload(ended=True)
        return codes, found

    assert attempt("c1", ["c1"]) == ("c1", {})
    assert attempt("c2", ["c2", "c1"]) == ("c1+c2", {"weights": "c1", "queue": "c1"}), "accepted: the trial is of both"
    assert attempt("c2", ["c2"]) == ("c2", {}), "of code that is not accepted any more"
    assert attempt("c2", ["c2"]) == ("c2", {"weights": "c2"}), "no file of the other code comes back from the store"


def test_files_of_the_trainer_are_ours_to_clean_and_those_beside_the_folder_are_not(tmp_path: Path) -> None:
    trial, other = (tmp_path / "trials" / name for name in ("a" * 12, "b" * 12))
    for folder in (trial, other):
        put(folder, work__checkpoint_50__weights="50", **{"attempt_001.json": "{}"})
    put(other, notes="mine")
    (tmp_path / "sweeps").mkdir()
    directory = RunDirectory(tmp_path)
    assert [item.trial_id for item in unreferenced_trials(directory)] == ["a" * 12]
    assert foreign_folders(directory) == {"b" * 12: ["notes"]}


WORKER = """
import json, sys, time
from pathlib import Path
from orchestrator.running.task import Task
from orchestrator.running.worker import run_trial
from orchestrator.spec.sweep_spec import read_spec
from orchestrator.store.record_store import RecordStore
from orchestrator.workload.runtime import Runtime
run_dir, stop_at = sys.argv[1], int(sys.argv[2])
config = read_spec(Path("digits.yaml")).workload.config_type(steps=300)
def report(point):
    print(json.dumps({"step": point.step}), flush=True)
    if point.step >= stop_at:
        time.sleep(3600)
workdir = RecordStore(run_dir).workdir("a", work=True)
task = Task(trial_id="a", attempt=1, config=config, runtime=Runtime(device="cpu"), workdir=workdir, run_dir=run_dir)
print(json.dumps(dict(run_trial(task, report).metrics)), flush=True)
"""


@pytest.mark.slow
def test_a_killed_script_resumes_on_another_machine_from_the_object_store(
    bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    example = tmp_path / "example"
    shutil.copytree(PROJECT / "examples" / "own_script", example)

    def worker(run_dir: str, machine: str, stop_at: int) -> subprocess.Popen[str]:
        monkeypatch.setenv(SCRATCH_FOLDER, str(tmp_path / machine))
        (tmp_path / machine).mkdir(exist_ok=True)
        command = [sys.executable, "-c", WORKER, run_dir, str(stop_at)]
        return subprocess.Popen(command, cwd=example, stdout=subprocess.PIPE, text=True)

    whole = worker(str(tmp_path / "runs"), "disk", 10**9)
    with worker(bucket, "first", 150) as killed:
        steps = [killed.stdout.readline() for _ in range(3)]  # it blocks at step 150; a state before has been copied
        killed.send_signal(signal.SIGKILL)
    assert [line.strip() for line in steps] == [f'{{"step": {step}}}' for step in (50, 100, 150)]
    assert "checkpoint.npz" in in_store(bucket)

    resumed, _ = worker(bucket, "second", 10**9).communicate(timeout=SECONDS)
    expected, _ = whole.communicate(timeout=SECONDS)
    assert '{"step": 50}' not in resumed.splitlines(), "it resumes from a copy; which one, the speed of copying decides"
    assert resumed.splitlines()[-1] == expected.splitlines()[-1], "to the figures of a trial that was not killed"
    assert not any((tmp_path / "second").rglob("*.partial"))
    assert {"checkpoint.npz", "script.log"} <= in_store(bucket), "at its end, everything is there"
