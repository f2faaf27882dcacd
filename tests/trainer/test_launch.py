"""Ranks report, return and end in every case of failure, without importing torch."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from functools import partial

import pytest

from tests.processes import is_alive
from trainer.errors import DataError, RankLostError
from trainer.launch import Failed, first_cause, run_ranks

FOREVER_SECONDS = 600


class StopError(Exception):
    """What a caller's progress may raise."""


class UnportableError(Exception):
    """Pickle cannot make it again: it wants two arguments and remembers one."""

    def __init__(self, one, two):
        super().__init__(one)


def ignore(step, metrics):
    pass


def wait_for(condition, seconds=30.0):
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)
    return condition()


def sign_in(folder, info):
    """Leave the number of this process in `folder`."""
    (folder / f"{info.rank}.partial").write_text(str(os.getpid()))
    (folder / f"{info.rank}.partial").rename(folder / str(info.rank))


def signed_in(folder, ranks=2):
    return [int((folder / str(rank)).read_text()) for rank in range(ranks) if (folder / str(rank)).exists()]


def report_and_return(info, progress):
    for step in (1, 2):
        progress(step, {"rank": float(info.rank)})
    return (info.rank, info.ranks, info.rendezvous.parent.exists(), "torch" in sys.modules)


def report_and_sleep(folder, info, progress):
    sign_in(folder, info)
    progress(1, {})
    time.sleep(FOREVER_SECONDS)


def fail(error, info, progress):
    if info.rank == 1:
        raise error
    time.sleep(FOREVER_SECONDS)


def fail_unportably(info, progress):
    raise UnportableError("lost", "found")


def die(folder, how, info, progress):
    """Rank 1 dies, and rank 0 then raises what one who talks with the dead does."""
    if info.rank == 1:
        assert wait_for(lambda: (folder / "0").exists())
        os._exit(7) if how == "exit" else os.kill(os.getpid(), how)
    sign_in(folder, info)
    progress(1, {})
    wait_for(lambda: False, 0.3)
    raise RuntimeError("connection closed by peer")


def test_points_and_result_are_those_of_rank_0():
    points = []
    result = run_ranks(report_and_return, 3, lambda step, metrics: points.append((step, metrics)))
    assert result == (0, 3, True, False)
    assert points == [(1, {"rank": 0.0}), (2, {"rank": 0.0})]


def test_rank_0_waits_until_progress_returns_and_what_it_raises_ends_all(tmp_path):
    def stop(step, metrics):
        assert wait_for(lambda: len(signed_in(tmp_path)) == 2)
        raise StopError(step)

    with pytest.raises(StopError, match="1"):
        run_ranks(partial(report_and_sleep, tmp_path), 2, stop)
    assert not any(map(is_alive, signed_in(tmp_path)))


def test_what_a_rank_raises_is_raised_here_with_its_traceback():
    with pytest.raises(ValueError, match="no such thing") as raised:
        run_ranks(partial(fail, ValueError("model.backbone: no such thing")), 2, ignore)
    assert str(raised.value) == "model.backbone: no such thing"
    (note,) = raised.value.__notes__
    assert note.startswith("on rank 1 of 2:\nTraceback")
    assert "raise error" in note


def test_a_mistake_of_the_user_stays_one_line():
    with pytest.raises(DataError) as raised:
        run_ranks(partial(fail, DataError("no such folder")), 2, ignore)
    assert (str(raised.value), getattr(raised.value, "__notes__", [])) == ("no such folder", [])


def test_an_error_that_pickle_cannot_carry_keeps_its_words():
    with pytest.raises(RuntimeError, match="lost") as raised:
        run_ranks(fail_unportably, 1, ignore)
    assert str(raised.value) == "UnportableError: lost"


@pytest.mark.parametrize(
    ("how", "words"),
    [
        (signal.SIGKILL, r"rank 1 of 2 was killed by SIGKILL \(out of memory\?\)"),
        (signal.SIGSEGV, "rank 1 of 2 was killed by SIGSEGV;"),
        ("exit", "rank 1 of 2 ended with exit code 7;"),
    ],
)
def test_a_rank_that_dies_is_named_not_the_one_that_missed_it(tmp_path, how, words):
    with pytest.raises(RankLostError, match=words) as raised:
        run_ranks(partial(die, tmp_path, how), 2, ignore)
    assert "\n" not in str(raised.value)
    assert not any(map(is_alive, signed_in(tmp_path)))


def test_the_first_cause_is_a_death_or_else_the_earliest_error():
    early, late = Failed(ValueError("early"), 1.0), Failed(ValueError("late"), 2.0)
    assert first_cause([late, early]) is early.error
    death = RankLostError("rank 2 of 3 was killed")
    assert first_cause([late, death, early]) is death


PARENT = """
import sys
from functools import partial
from pathlib import Path
from tests.trainer.test_launch import ignore, report_and_sleep
from trainer.launch import run_ranks
run_ranks(partial(report_and_sleep, Path(sys.argv[1])), 2, ignore)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere ranks end at their next report")
def test_ranks_die_with_a_parent_that_is_killed(tmp_path):
    # a script without a `__main__` guard, too: a spawned child of multiprocessing would run it again
    with subprocess.Popen([sys.executable, "-c", PARENT, str(tmp_path)]) as parent:
        assert wait_for(lambda: len(signed_in(tmp_path)) == 2)
        ranks = signed_in(tmp_path)
        assert all(map(is_alive, ranks))
        parent.kill()
    assert wait_for(lambda: not any(map(is_alive, ranks)))
