"""The lock of a trial's folder: never two holders, and a dead holder does not block."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator.machine.file_systems import NO_FOLDER_FLUSH, NO_LOCKS, flush_folder
from tests.poor_file_system import make_poor
from trainer.errors import TrainerError
from trainer.run import exclusive

HOLD = """
import fcntl, sys, time
file = open(sys.argv[1], "ab")
fcntl.flock(file, fcntl.LOCK_EX)
print(flush=True)
time.sleep(60)
"""


def test_second_holder_is_refused_and_told_why(tmp_path):
    path = tmp_path / "lock"
    with (
        exclusive(path),
        pytest.raises(TrainerError, match="another process is training"),
        exclusive(path, wait_seconds=0),
    ):
        pass
    with exclusive(path, wait_seconds=0):
        pass


def test_released_when_the_body_raises(tmp_path):
    with pytest.raises(ZeroDivisionError), exclusive(tmp_path / "lock"):
        raise ZeroDivisionError
    with exclusive(tmp_path / "lock", wait_seconds=0):
        pass


def test_waits_for_a_dying_process(tmp_path):
    path = tmp_path / "lock"
    with subprocess.Popen([sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        with pytest.raises(TrainerError), exclusive(path, wait_seconds=0):
            pass
        holder.kill()
        with exclusive(path, wait_seconds=10):
            pass


FORK = """
import os, sys, time
from pathlib import Path
from trainer.run import exclusive
with exclusive(Path(sys.argv[1])):
    if os.fork() == 0:
        print(os.getpid(), flush=True)
    time.sleep(60)
"""


def test_a_forked_child_that_outlives_the_process_holds_nothing(tmp_path):
    path = tmp_path / "lock"
    with subprocess.Popen([sys.executable, "-c", FORK, str(path)], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        child = int(holder.stdout.readline())
        try:
            holder.kill()
            holder.wait()
            with exclusive(path, wait_seconds=0):
                os.kill(child, 0)
        finally:
            os.kill(child, signal.SIGKILL)


@pytest.mark.parametrize("number", sorted(NO_LOCKS))
def test_without_locks_in_the_file_system_a_trial_trains_with_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    make_poor(monkeypatch, number)
    entered = False
    with pytest.warns(UserWarning, match="no locks here"), exclusive(tmp_path / "lock"):
        entered = True
    assert entered


@pytest.mark.parametrize("number", sorted({*NO_FOLDER_FLUSH} - {errno.EACCES, errno.EISDIR}))
def test_a_folder_that_cannot_be_flushed_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    refused = make_poor(monkeypatch, number)
    flush_folder(tmp_path)
    assert refused == ["fsync"]
    with monkeypatch.context() as patch:
        make_poor(patch, errno.EIO)
        with pytest.raises(OSError, match="Input/output"):
            flush_folder(tmp_path)
