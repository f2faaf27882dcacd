"""Folders of our own: private, marked, checked before use, and nothing else is ever removed or followed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.machine.own_folder import (
    MARK,
    ForeignFolderError,
    Mark,
    claim,
    make_temporary,
    mark_of,
    open_file,
    open_folder,
    remove,
    remove_stale,
    temporary_folder,
    temporary_root,
    write_mark,
)
from orchestrator.machine.process_identity import ProcessIdentity, start_of

NOBODY = 65534


@pytest.fixture(autouse=True)
def temporary(tmp_path, monkeypatch) -> Path:
    """A folder for temporary files of this test alone."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def refusal(folder: Path) -> str:
    with pytest.raises(ForeignFolderError) as caught:
        claim(folder, "TMPDIR")
    assert str(caught.value).startswith(f"{folder}: ")
    assert str(caught.value).endswith("or set TMPDIR to another folder")
    return str(caught.value)


def test_a_folder_is_made_once_for_this_user_alone(tmp_path):
    folder = claim(tmp_path / "a" / "own", "TMPDIR")
    assert folder.stat().st_mode & 0o777 == 0o700
    assert mark_of(folder) == Mark()
    (folder / "kept").write_text("x")
    assert claim(folder, "TMPDIR") == folder
    assert names(folder) == [MARK, "kept"]
    assert names(tmp_path / "a") == ["own"], "the draft is gone"


def test_the_umask_does_not_open_it(tmp_path):
    before = os.umask(0)
    try:
        folder = claim(tmp_path / "own", "TMPDIR")
    finally:
        os.umask(before)
    assert (folder.stat().st_mode & 0o777, (folder / MARK).stat().st_mode & 0o777) == (0o700, 0o600)


def test_many_processes_may_make_it_together(tmp_path):
    code = (
        "import sys; from pathlib import Path; from orchestrator.machine.own_folder import claim; sys.stdin.readline();"
        "claim(Path(sys.argv[1]), 'TMPDIR')"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "own")]
    racing = [subprocess.Popen(command, stdin=subprocess.PIPE, cwd=Path(__file__).parents[2]) for _ in range(4)]
    for process in racing:
        process.stdin.write(b"\n")
        process.stdin.flush()
    assert [process.wait(60) for process in racing] == [0] * 4
    for process in racing:
        process.stdin.close()
    assert mark_of(tmp_path / "own") is not None
    assert names(tmp_path) == ["own", "tmp"]


def test_an_empty_folder_of_ours_gets_the_mark_and_a_filled_one_never(tmp_path):
    (tmp_path / "empty").mkdir()
    assert mark_of(claim(tmp_path / "empty", "TMPDIR")) is not None
    (tmp_path / "filled").mkdir()
    (tmp_path / "filled" / "thesis").write_text("mine")
    assert "has no file .contrast-sweep" in refusal(tmp_path / "filled")
    assert names(tmp_path / "filled") == ["thesis"]


def test_a_link_a_file_and_a_pipe_are_refused(tmp_path):
    target = claim(tmp_path / "target", "TMPDIR")
    (tmp_path / "link").symlink_to(target)
    assert "is a symbolic link, which is not followed" in refusal(tmp_path / "link")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    assert "is a symbolic link" in refusal(tmp_path / "dangling")
    assert not (tmp_path / "nowhere").exists()
    (tmp_path / "file").write_text("x")
    assert "is not a folder" in refusal(tmp_path / "file")
    os.mkfifo(tmp_path / "pipe")
    assert "is not a folder" in refusal(tmp_path / "pipe")


@pytest.mark.parametrize("mode", [0o720, 0o702, 0o777, 0o1777])
def test_a_folder_that_others_may_write_to_is_refused(tmp_path, mode):
    folder = claim(tmp_path / "own", "TMPDIR")
    folder.chmod(mode)
    assert f"others may write to it, so it is not used; `chmod 700 {folder}` if all in it is yours" in refusal(folder)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder to another user")
def test_another_users_folder_is_refused_also_with_a_mark(tmp_path):
    folder = claim(tmp_path / "own", "TMPDIR")
    for path in (folder / MARK, folder):
        os.chown(path, NOBODY, NOBODY)
    assert f"belongs to user nobody ({NOBODY}), so it is not used; ask for its removal" in refusal(folder)
    assert mark_of(folder) is None
    remove(folder)
    assert folder.exists()


@pytest.mark.parametrize("content", [b"", b"{}", b"[1]", b"\xff", b'{"made_by": "contrast-sweep", "process": 7}'])
def test_any_other_content_is_no_mark(tmp_path, content):
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / MARK).write_bytes(content)
    assert mark_of(tmp_path / "own") is None
    refusal(tmp_path / "own")
    remove(tmp_path / "own")
    assert (tmp_path / "own" / MARK).read_bytes() == content


def make_marks(folder: Path) -> None:
    """What a foreign folder may have in place of a mark."""
    claim(folder / "real", "TMPDIR")
    for name in ("link", "pipe", "folder"):
        (folder / name).mkdir(parents=True)
    (folder / "link" / MARK).symlink_to(folder / "real" / MARK)
    os.mkfifo(folder / "pipe" / MARK)
    (folder / "folder" / MARK).mkdir()


@pytest.mark.parametrize("kind", ["link", "pipe", "folder"])
def test_a_link_a_pipe_or_a_folder_is_no_mark(tmp_path, kind):
    make_marks(tmp_path / "marks")
    assert mark_of(tmp_path / "marks" / kind) is None
    remove(tmp_path / "marks" / kind)
    assert (tmp_path / "marks" / kind / MARK).is_symlink() == (kind == "link")
    assert os.path.lexists(tmp_path / "marks" / kind / MARK)


NOT_OPENED = {
    "link": "symbolic links",
    "pipe": "is not a file",
    "tmp": "is not a file",
    "nothing": "No such file",
}


def test_a_file_is_opened_without_following_or_waiting(tmp_path):
    (tmp_path / "file").write_text("x")
    (tmp_path / "link").symlink_to(tmp_path / "file")
    os.mkfifo(tmp_path / "pipe")
    with open_folder(tmp_path) as folder:
        with open_file("file", folder) as file:
            assert file.read() == b"x"
        for name, error in NOT_OPENED.items():
            with pytest.raises(OSError, match=error), open_file(name, folder):
                pass
    (tmp_path / "to").symlink_to(tmp_path)
    with pytest.raises(NotADirectoryError), open_folder(tmp_path / "to"):
        pass


def test_a_temporary_folder_ends_with_its_block_and_spares_what_its_links_point_to(tmp_path):
    (tmp_path / "private").mkdir()
    (tmp_path / "private" / "thesis").write_text("mine")
    with temporary_folder("tune") as folder:
        assert folder.parent == temporary_root()
        assert folder.name.startswith("tune-")
        assert folder.stat().st_mode & 0o777 == 0o700
        (folder / "deep").mkdir()
        for place in (folder, folder / "deep"):
            (place / "to_folder").symlink_to(tmp_path / "private")
            (place / "to_file").symlink_to(tmp_path / "private" / "thesis")
            os.mkfifo(place / "pipe")
    assert names(temporary_root()) == [MARK]
    assert (tmp_path / "private" / "thesis").read_text() == "mine"


LEAVE = """
import os, signal, sys
from pathlib import Path
import tempfile; tempfile.tempdir = sys.argv[1]
from orchestrator.machine.own_folder import make_temporary
folder = make_temporary("ray")
(folder / "session").mkdir()
(folder / "session" / "log").write_text("x")
print(folder, flush=True)
sys.stdin.readline()
"""


def start(temporary: Path) -> tuple[subprocess.Popen[str], Path]:
    """A process with a temporary folder."""
    process = subprocess.Popen(
        [sys.executable, "-c", LEAVE, str(temporary)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    return process, Path(process.stdout.readline().strip())


def test_what_killed_processes_left_is_removed_and_nothing_of_a_living_one(tmp_path, temporary):
    killed, left = start(temporary)
    living, used = start(temporary)
    with killed, living:
        killed.kill()
        killed.wait()
        own = make_temporary("tune")
        unmarked = temporary_root() / "tune-unmarked"
        unmarked.mkdir()
        beside = temporary / "ray-of-somebody"
        beside.mkdir()
        (temporary_root() / "ray-link").symlink_to(own)
        os.mkfifo(temporary_root() / "ray-pipe")
        remove_stale()
        assert not left.exists()
        assert all(path.exists() for path in (used / "session" / "log", own / MARK, unmarked, beside))
        assert {"ray-link", "ray-pipe"} <= set(names(temporary_root()))
        living.send_signal(signal.SIGKILL)
    remove_stale()
    assert not used.exists()


def test_a_later_process_with_the_same_id_is_another_one(tmp_path, monkeypatch):
    """And one from before the last boot is dead, while one of another machine may live."""
    monkeypatch.setattr("orchestrator.machine.process_identity.this_host", lambda: "this host")
    here = ProcessIdentity.here()
    assert here.alive() is True
    folder = {}
    for name, process in {
        "reused": replace(here, started="1"),
        "booted": replace(here, machine="another boot"),
        "elsewhere": replace(here, machine="another boot", host="another"),
        "here": here,
    }.items():
        folder[name] = tmp_path / "parent" / name
        folder[name].mkdir(parents=True)
        write_mark(folder[name], Mark(process=process))
    claim(tmp_path / "parent" / "stays", "TMPDIR")
    remove_stale(tmp_path / "parent")
    assert names(tmp_path / "parent") == ["elsewhere", "here", "stays"]


def test_what_a_crash_leaves_of_a_removal_is_still_marked(tmp_path, monkeypatch):
    left = tmp_path / "parent" / "gone-1"
    (left / "deep").mkdir(parents=True)
    for name in ("a", "z"):
        (left / name).write_text("x")
    write_mark(left, Mark(process=replace(ProcessIdentity.here(), started="1")))
    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", lambda *_: (_ for _ in ()).throw(OSError("killed here")))
        remove_stale(left.parent)
    assert mark_of(left) is not None
    remove_stale(left.parent)
    assert names(left.parent) == []


def test_the_search_for_stale_folders_ends_in_time_and_without_error(tmp_path, monkeypatch):
    remove_stale(tmp_path / "missing")
    for number in range(3):
        folder = tmp_path / "parent" / str(number)
        folder.mkdir(parents=True)
        write_mark(folder, Mark(process=replace(ProcessIdentity.here(), started="1")))
    monkeypatch.setattr("orchestrator.machine.own_folder.STALE_SECONDS", -1.0)
    remove_stale(tmp_path / "parent")
    assert len(names(tmp_path / "parent")) == 3


def test_a_used_mark_does_not_age(tmp_path):
    """Cleaners of /tmp remove files that nobody has used for days."""
    folder = claim(tmp_path / "own", "TMPDIR")
    os.utime(folder / MARK, (1, 1))
    claim(folder, "TMPDIR")
    assert time.time() - (folder / MARK).stat().st_mtime < 60


def test_a_process_that_has_ended_is_dead_before_its_parent_takes_the_exit_code() -> None:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    identity = ProcessIdentity(pid=process.pid, started=start_of(process.pid), machine=ProcessIdentity.here().machine)
    assert identity.alive()
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert identity.alive() is False
    process.communicate()
    assert identity.alive() is False
