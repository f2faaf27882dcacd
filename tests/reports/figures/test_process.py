"""Figures drawn in a process of their own: the same bytes, and a line whatever happens to it. They take 5 seconds."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from reports.figures.drawing import Drawing
from reports.figures.kept import draw_here
from reports.figures.plots import Importance
from reports.figures.process import MODULE, FigureProcess
from tests.processes import is_alive

DRAWINGS = [
    Drawing(figure="importance", plot=Importance(shares={"a": 0.7, "b": 0.3})),
    Drawing(figure="importance", plot=Importance(shares={"a": 0.7, "b": 0.3}), dark=True),
]
BROKEN = Drawing(figure="broken", plot=Importance(shares={"a": "no number"}))  # type: ignore[dict-item]
LIMIT_SECONDS = 120.0


@pytest.fixture
def process() -> Iterator[FigureProcess]:
    process = FigureProcess(silent_seconds=LIMIT_SECONDS)
    yield process
    process.stop()


def children(pid: int) -> list[int]:
    return [int(item) for item in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def ticks_of_children(pid: int) -> int:
    """CPU time of the processes that this one has forked and reaped."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()[13])


def test_the_bytes_are_those_of_this_process_and_one_that_fails_is_a_line(process: FigureProcess) -> None:
    process.prepare([])
    process.begin([])
    assert process.draw([]) == {}
    assert process.starts == 0, "nothing to draw is no process"
    found = process.draw([*DRAWINGS, BROKEN])
    assert process.starts == 1
    assert found.pop("broken") == "not drawn (TypeError: must be real number, not str)"
    assert found == draw_here(DRAWINGS)
    assert sorted(process.drawn) == ["importance", "importance-dark"]


def test_what_was_drawn_in_advance_is_not_drawn_again_and_the_end_has_no_low_priority(process: FigureProcess) -> None:
    process.prepare(DRAWINGS)
    assert process.process is not None
    child = process.process.pid
    priorities = set()
    deadline = time.monotonic() + LIMIT_SECONDS
    while not process.connection.poll(0.01):
        assert time.monotonic() < deadline
        for forked in children(child):
            try:
                priorities.add(os.getpriority(os.PRIO_PROCESS, forked))
            except ProcessLookupError:
                continue
    own = os.getpriority(os.PRIO_PROCESS, 0)
    assert max(priorities) == min(own + 15, 19)
    assert os.getpriority(os.PRIO_PROCESS, child) == own
    process.prepare(DRAWINGS)  # all of it is there
    before = ticks_of_children(child)
    assert process.draw(DRAWINGS).keys() == {"importance", "importance-dark"}
    assert ticks_of_children(child) == before > 0
    assert process.starts == 1
    line = Path(f"/proc/{child}/cmdline").read_text().split("\0")
    assert line[-4:] == ["-m", MODULE, str(os.getpid()), ""], "no secret is on the command line"
    assert Path(f"/proc/{child}/stat").read_text().rpartition(") ")[2].split()[3] == str(child), "its own session"
    process.stop()
    assert not is_alive(child)


def test_a_process_that_is_killed_or_hangs_is_a_line_and_the_next_one_draws(process: FigureProcess) -> None:
    process.begin(DRAWINGS)
    assert process.process is not None
    process.process.kill()
    reason = "not drawn: the process that draws has ended (killed by SIGKILL)"
    assert process.draw(DRAWINGS) == {drawing.name: reason for drawing in DRAWINGS}
    process.begin(DRAWINGS)
    assert process.process is not None
    hanging = process.process.pid
    os.kill(hanging, signal.SIGSTOP)
    process.silent_seconds = 0.2
    reason = "not drawn: the process that draws has not answered for 0 s"
    assert process.draw(DRAWINGS) == {drawing.name: reason for drawing in DRAWINGS}
    assert not is_alive(hanging)
    process.silent_seconds = LIMIT_SECONDS
    process.prepare(DRAWINGS)
    assert process.process is not None
    process.process.kill()
    process.process.wait()
    process.prepare(DRAWINGS)  # not again: something is wrong with it
    assert process.draw(DRAWINGS) == draw_here(DRAWINGS), "one that died in advance is no failure"
    assert process.starts == 4


DRIVER = """
import pickle, sys, time
from reports.figures.process import FigureProcess
process = FigureProcess()
process.begin(pickle.load(sys.stdin.buffer))
process.connection.poll(None)
print(process.process.pid, "matplotlib" in sys.modules, flush=True)
time.sleep(600)
"""


def test_it_ends_with_its_parent_and_the_parent_imports_no_matplotlib() -> None:
    import pickle

    many = [Drawing(figure=f"{i}", plot=Importance(shares={"a": i / 50})) for i in range(50)]
    driver = subprocess.Popen([sys.executable, "-c", DRIVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with driver:
        assert driver.stdin is not None
        assert driver.stdout is not None
        driver.stdin.write(pickle.dumps(many))
        driver.stdin.close()
        number, imported = driver.stdout.readline().split()
        assert imported == b"False"
        child = int(number)
        processes = [child, *children(child)]
        assert len(processes) > 1, "it draws"
        driver.kill()
    deadline = time.monotonic() + LIMIT_SECONDS
    while any(map(is_alive, processes)):
        assert time.monotonic() < deadline
        time.sleep(0.02)
