"""Checkpoints of an object store: fetched before training, uploaded after each save, always whole."""

from pathlib import Path

import pytest

from orchestrator.errors import StoreError
from orchestrator.store.backends import open_files
from orchestrator.store.backends.object_store import ObjectFiles
from orchestrator.store.checkpoint_sync import fetch_checkpoints, upload_checkpoints
from orchestrator.store.record_store import RecordStore
from orchestrator.store.run_directory import RunDirectory


def put(folder: Path, **contents: str) -> None:
    """Files as the trainer leaves them; `last` becomes last.pt."""
    folder.mkdir(exist_ok=True)
    for name, content in contents.items():
        (folder / f"{name}.pt").write_text(content, encoding="utf-8")


def in_store(run_dir: str) -> dict[str, str]:
    files = open_files(run_dir)
    return {name: (files.read(f"trials/a/{name}") or b"").decode() for name in files.sizes("trials/a")}


def test_a_trial_resumes_on_another_node_from_what_was_uploaded(bucket: str, tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    fetch_checkpoints(RunDirectory(bucket), "a", here)
    assert not here.exists(), "a trial that never began has nothing to fetch"
    put(here, last="step 10", best="weights 10")
    upload_checkpoints(RunDirectory(bucket), "a", here)
    assert in_store(bucket) == {"last.pt": "step 10", "best.pt": "weights 10"}
    put(here, last="step 20", previous="step 10")
    upload_checkpoints(RunDirectory(bucket), "a", here)
    assert in_store(bucket) == {"last.pt": "step 20", "previous.pt": "step 10", "best.pt": "weights 10"}
    put(there, last="step 5, of long ago")
    fetch_checkpoints(RunDirectory(bucket), "a", there)
    found = {path.name: path.read_text(encoding="utf-8") for path in there.glob("*.pt")}
    assert found == {"last.pt": "step 20", "previous.pt": "step 10", "best.pt": "weights 10"}


def test_only_new_files_are_uploaded(bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[str] = []
    upload = ObjectFiles.upload

    def count(files: ObjectFiles, path: Path, key: str) -> None:
        sent.append(path.name)
        upload(files, path, key)

    monkeypatch.setattr(ObjectFiles, "upload", count)
    put(tmp_path, last="step 10", best="weights 10")
    upload_checkpoints(RunDirectory(bucket), "a", tmp_path)
    upload_checkpoints(RunDirectory(bucket), "a", tmp_path)
    put(tmp_path, last="step 200", previous="step 10")
    upload_checkpoints(RunDirectory(bucket), "a", tmp_path)
    assert sent == ["best.pt", "last.pt", "last.pt"]
    fetch_checkpoints(RunDirectory(bucket), "a", tmp_path)
    upload_checkpoints(RunDirectory(bucket), "a", tmp_path)
    assert len(sent) == 3, "what came from the store is not uploaded again"
    open_files(bucket).delete_folder("trials/a")
    upload_checkpoints(RunDirectory(bucket), "a", tmp_path)
    assert sent[3:] == ["best.pt", "last.pt"], "a store that was emptied gets them again"


def test_an_upload_that_breaks_off_leaves_the_last_one(
    bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path, last="step 10")
    upload_checkpoints(RunDirectory(bucket), "a", tmp_path)
    put(tmp_path, last="step 20", previous="step 10")

    def break_off(files: ObjectFiles, path: Path, key: str) -> None:
        raise StoreError("the line is dead")

    with monkeypatch.context() as patch:
        patch.setattr(ObjectFiles, "upload", break_off)
        with pytest.raises(StoreError, match="the line is dead"):
            upload_checkpoints(RunDirectory(bucket), "a", tmp_path)
    assert in_store(bucket) == {"last.pt": "step 10", "previous.pt": "step 10"}
    upload_checkpoints(RunDirectory(bucket), "a", tmp_path)
    assert in_store(bucket)["last.pt"] == "step 20"


def test_a_finished_trial_keeps_no_previous(bucket: str, tmp_path: Path) -> None:
    put(tmp_path, last="step 10")
    upload_checkpoints(RunDirectory(bucket), "a", tmp_path)
    put(tmp_path, last="step 20", previous="step 10")
    upload_checkpoints(RunDirectory(bucket), "a", tmp_path)
    (tmp_path / "previous.pt").unlink()
    put(tmp_path, last="finished", best="weights")
    upload_checkpoints(RunDirectory(bucket), "a", tmp_path)
    assert in_store(bucket) == {"last.pt": "finished", "best.pt": "weights"}
    (tmp_path / "best.pt").unlink()  # the trainer has its content in last.pt
    upload_checkpoints(RunDirectory(bucket), "a", tmp_path)
    assert in_store(bucket) == {"last.pt": "finished"}


def test_with_a_run_directory_on_a_disk_nothing_is_copied(tmp_path: Path) -> None:
    workdir = RecordStore(tmp_path).workdir("a")
    workdir.mkdir(parents=True)
    put(workdir, last="step 10")
    fetch_checkpoints(RunDirectory(tmp_path), "a", workdir)
    upload_checkpoints(RunDirectory(tmp_path), "a", workdir)
    assert [path.name for path in workdir.iterdir()] == ["last.pt"]


def test_an_object_store_gives_trials_a_folder_of_this_machine(bucket: str, tmp_path: Path) -> None:
    workdir = RecordStore(f"{bucket}/runs").workdir("a")
    assert workdir.is_absolute()
    assert workdir.is_relative_to(tmp_path / "scratch")
