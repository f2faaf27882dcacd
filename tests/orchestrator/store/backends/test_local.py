"""A run directory on a disk."""

import errno
import os
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.errors import StoreError
from orchestrator.machine.own_folder import Mark, write_mark
from orchestrator.machine.process_identity import ProcessIdentity
from orchestrator.store.backends import LocalFiles
from orchestrator.testing.files import AtomicFilesContract


@pytest.fixture
def files(tmp_path: Path) -> LocalFiles:
    return LocalFiles(str(tmp_path / "runs"))


class TestLocalFiles(AtomicFilesContract):
    pass


def test_a_write_leaves_no_partial_file(files: LocalFiles, tmp_path: Path) -> None:
    files.write("folder/file.json", b"{}")
    files.write("folder/file.json", b"[]")
    assert [path.name for path in (tmp_path / "runs" / "folder").iterdir()] == ["file.json"]


def test_a_crash_before_the_rename_leaves_the_old_content(files: LocalFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    files.write("file", b"old")

    def crash(*paths: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", crash)
        with pytest.raises(KeyboardInterrupt):
            files.write("file", b"new")
    assert files.read("file") == b"old"


def test_a_stamp_changes_with_the_content(files: LocalFiles) -> None:
    files.write("trials/a/x", b"1")
    (before,) = files.stamps(["trials/a/x"])
    files.write("trials/a/x", b"2")
    assert files.stamps(["trials/a/x"]) != [before]


def test_a_line_appended_after_one_that_was_cut_short_is_a_line_of_its_own(files: LocalFiles, tmp_path: Path) -> None:
    files.append("points", b"one\n")
    (tmp_path / "runs" / "points").write_bytes(b"one\ntw")
    files.append("points", b"three\n")
    assert files.read("points") == b"one\ntw\nthree\n"


def test_what_a_crash_during_a_deletion_leaves_is_removed_by_the_next(files: LocalFiles, tmp_path: Path) -> None:
    left = tmp_path / "runs" / ".removed-0123"
    files.write(".removed-0123/folder/x", b"left by a crash")
    write_mark(left, Mark(process=replace(ProcessIdentity.here(), started="1")))
    files.write("trash/thesis.txt", b"of the user")
    files.write("trials/a/x", b"1")
    files.delete_folder("trials/a")
    assert sorted(files.names("")) == ["trash", "trials"]
    assert files.read("trash/thesis.txt") == b"of the user"


def test_a_full_disk_can_be_cleaned(files: LocalFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> str:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("tempfile.mkdtemp", full)
    files.write("trials/a/pictures/x", b"1")
    files.delete_folder("trials/a")
    assert files.names("trials") == []


def test_an_error_of_the_system_is_one_line_with_a_remedy(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    files = LocalFiles(str(tmp_path / "file" / "runs"))
    with pytest.raises(StoreError, match=r"x: cannot be written \(Not a directory\); use another --run-dir"):
        files.write("x", b"")
    (tmp_path / "folder").mkdir()
    with pytest.raises(StoreError, match=r"folder: a folder instead of a file"):
        LocalFiles(str(tmp_path)).read("folder")
