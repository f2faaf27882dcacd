"""One driver at a time: two processes on a disk, forked children, mounts of several machines."""

import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from orchestrator.errors import StoreError
from orchestrator.store import lock
from orchestrator.store.backends import LocalFiles
from orchestrator.store.lease import LeaseTimings
from orchestrator.store.lock import file_system, lock_run_directory
from orchestrator.store.record_store import RecordStore

DRIVER = """
import os, sys, time
from orchestrator.errors import StoreError
from orchestrator.store.record_store import RecordStore
try:
    with RecordStore(sys.argv[1]).lock():
        print("held", flush=True)
        if sys.argv[2] == "fork" and os.fork() == 0:
            print(os.getpid(), flush=True)
            time.sleep(60)
        time.sleep(float(sys.argv[2]) if sys.argv[2] != "fork" else 60)
except StoreError as error:
    print(error, flush=True)
    sys.exit(2)
"""


@contextmanager
def driver(run_dir: Path, how_long: str = "60") -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", DRIVER, str(run_dir), how_long]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def said(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_a_second_driver_is_refused_with_one_line_and_runs_at_once_after_a_kill(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    with driver(runs) as first:
        assert said(first) == "held"
        with driver(runs, "0") as second:
            line = said(second)
            assert second.wait() == 2
        assert line.startswith(f"{runs}: another sweep is writing here (process {first.pid} on ")
        assert line.endswith("; wait for it, stop it there, or give this one its own --run-dir")
        first.send_signal(signal.SIGKILL)
        first.wait()
        began = time.monotonic()
        with RecordStore(runs).lock():
            assert time.monotonic() - began < 15, "it did not wait until the holder of a lease counts as dead, 25 s"


def test_a_child_that_outlives_a_killed_driver_holds_nothing(tmp_path: Path) -> None:
    with driver(tmp_path, "fork") as first:
        assert said(first) == "held"
        child = int(said(first))
        try:
            first.kill()
            first.wait()
            with RecordStore(tmp_path).lock():
                os.kill(child, 0)
        finally:
            os.kill(child, signal.SIGKILL)


def test_the_lock_is_free_after_its_release(tmp_path: Path) -> None:
    store = RecordStore(tmp_path)
    for _ in range(2):
        with store.lock(), pytest.raises(StoreError, match=f"process {os.getpid()} on"), RecordStore(tmp_path).lock():
            pass


def test_on_a_disk_there_is_no_lease_and_on_a_shared_mount_there_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = LocalFiles(str(tmp_path))
    quick = LeaseTimings(settle_seconds=0.0)
    monkeypatch.setattr(lock, "file_system", lambda folder: "ext4")
    with lock_run_directory(files, quick) as lease:
        assert lease is None
    monkeypatch.setattr(lock, "file_system", lambda folder: "nfs4")
    with lock_run_directory(files, quick) as lease:
        assert lease is not None
        assert files.names("driver.lease") == ["000001"]
    assert files.names("driver.lease") == []


@pytest.mark.parametrize("number", sorted(lock.NO_LOCKS))
def test_a_file_system_without_locks_gets_a_lease(number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(descriptor: int, operation: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with lock_run_directory(LocalFiles(str(tmp_path)), LeaseTimings(settle_seconds=0.0)) as lease:
        assert lease is not None


@pytest.mark.parametrize(
    ("folder", "kind"),
    [
        ("/", "ext4"),
        ("/home/a/runs", "ext4"),
        ("/data/runs", "nfs4"),
        ("/data/fast disk/x", "xfs"),
        ("/database", "ext4"),
    ],
)
def test_the_file_system_of_a_folder_is_that_of_its_nearest_mount(tmp_path: Path, folder: str, kind: str) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text(
        "/dev/sda / ext4 rw 0 0\nserver:/x /data nfs4 rw 0 0\n/dev/sdb /data/fast\\040disk xfs rw 0 0\n",
        encoding="utf-8",
    )
    assert file_system(folder, mounts) == kind
    assert file_system(folder, tmp_path / "none") == ""
