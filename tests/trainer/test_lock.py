"""Only one process trains in a folder; the lock of a dead process is released."""

from __future__ import annotations

import subprocess
import sys

import pytest

from trainer import run
from trainer.errors import TrainerError
from trainer.run import locked

HOLD = """
import fcntl, sys, time
file = open(sys.argv[1], "ab")
fcntl.flock(file, fcntl.LOCK_EX)
print(flush=True)
time.sleep(60)
"""


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    monkeypatch.setattr(run, "LOCK_SECONDS", 0)


def test_second_holder_is_refused_and_told_why(tmp_path):
    path = tmp_path / "lock"
    with locked(path), pytest.raises(TrainerError, match="another process is training"), locked(path):
        pass
    with locked(path):
        pass


def test_released_when_the_body_raises(tmp_path):
    with pytest.raises(ZeroDivisionError), locked(tmp_path / "lock"):
        raise ZeroDivisionError
    with locked(tmp_path / "lock"):
        pass


def test_waits_for_a_dying_process(tmp_path, monkeypatch):
    path = tmp_path / "lock"
    with subprocess.Popen([sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        with pytest.raises(TrainerError), locked(path):
            pass
        holder.kill()
        monkeypatch.setattr(run, "LOCK_SECONDS", 10)
        with locked(path):
            pass
