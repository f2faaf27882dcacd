"""What a command says while it waits for something before it has anything else to show."""

from __future__ import annotations

import io
import re
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from orchestrator import __main__ as orchestrator
from orchestrator import sweep
from orchestrator.planning.naming import plan_in
from orchestrator.spec.sweep_spec import read_spec
from orchestrator.store.run_directory import RunDirectory
from orchestrator.tracking import waiting_line
from orchestrator.tracking.waiting_line import WaitingLine
from trainer.data.reading.cache import CACHE_FOLDER

SPACE = """\
method: ablation
recipe: small
fixed: {data.name: folder, data.root: data, data.crop: [64, 64], schedule.steps: 10}
rows: {a: {}, b: {optim.lr: 0.1}}
"""
READ = ["folder: reading every file, once", "", "folder: decoding every image and label, once", ""]


class Terminal(io.StringIO):
    """A stream that is a terminal."""

    def isatty(self) -> bool:
        return True


class AtOnce(threading.Timer):
    """What it is told to wait for takes long."""

    def start(self) -> None:
        self.function(*self.args)

    def join(self, timeout: float | None = None) -> None:
        pass


def until(holds: Callable[[], bool]) -> None:
    """Wait; a thread writes."""
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_what_takes_no_time_is_not_said() -> None:
    stream, before = io.StringIO(), threading.active_count()
    with WaitingLine(stream, after_seconds=60) as waiting:
        waiting("reading")
        waiting("decoding")
    assert stream.getvalue() == ""
    assert threading.active_count() == before


def test_a_file_gets_a_line_for_each_thing() -> None:
    stream = io.StringIO()
    with WaitingLine(stream, after_seconds=0) as waiting:
        waiting("reading")
        until(lambda: stream.getvalue() == "reading\n")
        waiting("")
        waiting("decoding")
        until(lambda: stream.getvalue() == "reading\ndecoding\n")


def test_a_terminal_shows_the_seconds_and_in_the_end_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    stream = Terminal()
    with WaitingLine(stream, after_seconds=0) as waiting:
        waiting("decoding")
        until(lambda: re.search(r"decoding · \d+ s", stream.getvalue()) is not None)
    shown = stream.getvalue()
    assert shown.endswith("\x1b[2K"), "the line is erased"
    assert shown.count("\x1b[?25l") == shown.count("\x1b[?25h") == 1, "the cursor is back"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A search space over a small data set that nothing has read before."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(CACHE_FOLDER, "off")
    (tmp_path / "recipes").mkdir()
    (tmp_path / "recipes" / "small.yaml").write_text("data.name: folder\n")
    for number, split in enumerate(("train", "val", "test")):
        image = np.random.default_rng(number).integers(0, 256, (2, 3, 3), dtype=np.uint8)
        label = np.array([[0, 0, 1], [1, 255, 1]], dtype=np.uint8)
        for kind, pixels in (("images", image), ("labels", label)):
            path = tmp_path / "data" / kind / split / "a.png"
            path.parent.mkdir(parents=True)
            Image.fromarray(pixels).save(path)
    (tmp_path / "data" / "classes.yaml").write_text("names: [ground, person]\n")
    path = tmp_path / "s.yaml"
    path.write_text(SPACE)
    return path


def test_planning_says_what_it_reads_for_the_first_time(folder: Path) -> None:
    told: list[str] = []
    for _ in range(2):
        plan_in(RunDirectory("runs"), read_spec(folder), told.append)
    assert told == READ, "and nothing of what it has read before"


@pytest.mark.parametrize("command", ["dry run", "why"])
def test_commands_that_plan_say_so_on_standard_error(
    command: str, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting_line, "Timer", AtOnce)
    assert (sweep.main(["s.yaml", "--dry-run"]) if command == "dry run" else orchestrator.main(["why", "s.yaml"])) == 0
    shown = capsys.readouterr()
    assert shown.err.splitlines() == [line for line in READ if line]
    assert "reading" not in shown.out
