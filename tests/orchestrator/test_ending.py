"""The end of a sweep: what is shown when, which figures are drawn, and what happens when they are not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from orchestrator import api, sweep
from orchestrator.api import RunOptions
from orchestrator.commands.command_line import UNFINISHED
from orchestrator.running.driver import Driver
from orchestrator.running.executors import open_executor
from orchestrator.running.executors.base import Executor
from orchestrator.tracking.figures_in_advance import FigureTracker
from reports.figures.drawing import Drawing
from reports.figures.kept import INDEX
from reports.figures.process import FigureProcess
from tests.end_to_end.conftest import environment
from tests.orchestrator.conftest import NoFollower
from tests.orchestrator.workload.test_own_trainer import SPACE, TRAINER

pytestmark = pytest.mark.usefixtures("figures")

FIGURES = ["means", "means-dark", "differences", "differences-dark"]
"""Of the tiny sweep, whose trials report one point."""


class Pictures(FigureProcess):
    """Counts what is drawn, and draws a word. Class attributes, because a command makes its own."""

    told: list[str]
    fails = ""

    def prepare(self, drawings: Sequence[Drawing]) -> None:
        Pictures.told.append(f"in advance: {len(drawings)}")

    def begin(self, drawings: Sequence[Drawing]) -> None:
        Pictures.told += [f"begin: {drawing.name}" for drawing in drawings]

    def draw(self, drawings: Sequence[Drawing]) -> Mapping[str, Mapping[str, bytes] | str]:
        Pictures.told += [f"draw: {drawing.name}" for drawing in drawings]
        return {
            item.name: f"not drawn ({Pictures.fails})"
            if Pictures.fails
            else {kind: f"<svg>{item.digest}</svg>".encode() for kind in item.formats}
            for item in drawings
        }


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the process that draws is told."""
    Pictures.told, Pictures.fails = [], ""
    monkeypatch.setattr("reports.figures.process.FigureProcess", Pictures)
    return Pictures.told


@pytest.fixture
def line(tiny_space: Path, quick_options: RunOptions) -> list[str]:
    return [str(tiny_space), "--out", str(quick_options.out), "--executor", "serial"]


def drawn(told: list[str]) -> list[str]:
    """The figures that were drawn since the last call; each is begun before."""
    names = [text.removeprefix("draw: ") for text in told if text.startswith("draw: ")]
    assert [text.removeprefix("begin: ") for text in told if text.startswith("begin: ")] == names
    told.clear()
    return names


def test_a_command_draws_what_has_changed_since_the_last_one(
    told: list[str], tiny_space: Path, quick_options: RunOptions
) -> None:
    """All at first, none when nothing has run, and only the changed ones after another trial."""
    first = api.sweep(tiny_space, options=quick_options)
    assert drawn(told) == FIGURES
    page = first.files["html"].read_text(encoding="utf-8")
    assert page.count("<svg>") == len(FIGURES)
    files = {path.name for path in first.files["figures"].iterdir()}
    assert files == {f"{name}.{kind}" for name in ("means", "differences") for kind in ("pdf", "png", "svg")} | {
        "means-dark.svg",
        "differences-dark.svg",
        INDEX,
    }
    again = api.sweep(tiny_space, options=quick_options)
    assert drawn(told) == []
    assert list(again.files) == list(first.files)
    assert again.files["html"].read_text(encoding="utf-8").count("<svg>") == len(FIGURES)
    more = api.sweep(tiny_space, options=quick_options, seeds=3, name="tiny")
    assert drawn(told) == FIGURES, "both show the seeds"
    (more.files["figures"] / "means.png").unlink()
    api.sweep(tiny_space, options=quick_options, seeds=3, name="tiny")
    assert drawn(told) == ["means"]


def test_the_table_is_shown_before_figures_are_drawn_and_these_while_the_executor_ends(
    told: list[str], line: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []
    shown: list[str] = []

    def note(owner: object, name: str, event: str) -> None:
        real = getattr(owner, name)

        def call(*given: object, **named: object) -> object:
            shown.append(capsys.readouterr().out)
            order.append(event)
            return real(*given, **named)

        monkeypatch.setattr(owner, name, call)

    note(Pictures, "begin", "figures begin")
    note(Pictures, "draw", "figures end")
    note(NoFollower, "close", "MLflow")
    note(Driver, "finish", "trackers")

    @contextmanager
    def opened(*given: Any, **named: Any) -> Iterator[Executor]:
        with open_executor(*given, **named) as executor:
            yield executor
            order.append("executor")

    monkeypatch.setattr("orchestrator.running.executors.open_executor", opened)
    assert sweep.main(line) == UNFINISHED
    shown.append(capsys.readouterr().out)
    assert order == ["figures begin", "executor", "figures end", "trackers", "MLflow"]
    assert "| Variant |" in shown[0]
    assert sum(text.count("| Variant |") for text in shown) == 1
    last = shown[-1].splitlines()
    assert last[0].startswith("missing: pixel + region memory, seed 1 [")
    assert last[-1].startswith("page: ")
    assert last[-1].endswith("/tiny")


def test_figures_that_are_not_drawn_are_a_line_and_the_next_command_draws_them(
    told: list[str], line: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    Pictures.fails = "killed"
    only = [*line, "--only", "w/o contrast"]
    assert sweep.main(only) == UNFINISHED, "not the exit code of a wrong specification"
    shown = capsys.readouterr().out
    (lacking,) = [text for text in shown.splitlines() if text.startswith("not done: ")]
    assert lacking == "not done: figures: means, differences: not drawn (killed)"
    page = Path(line[2]) / "tiny" / "table.html"
    assert "w/o contrast" in page.read_text(encoding="utf-8"), "the page is written without them"
    told.clear()
    Pictures.fails = ""
    assert sweep.main(only) == 0
    assert drawn(told) == FIGURES
    assert "<svg>" in page.read_text(encoding="utf-8")


def test_json_events_are_as_ever(told: list[str], line: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert sweep.main([*line, "--json"]) == UNFINISHED
    shown = capsys.readouterr()
    events = [json.loads(text) for text in shown.out.splitlines()]
    assert [item["event"] for item in events].count("finish") == 1
    assert list(events[-1]["files"])[-1] == "figures"
    assert "html" in events[-1]["files"]
    assert "| Variant |" not in shown.out + shown.err
    assert drawn(told) == FIGURES


@pytest.mark.parametrize(("cpus", "expected"), [(1, [False] * 8), (2, [False] * 6 + [True, False])])
def test_figures_are_drawn_in_advance_once_no_trial_waits_and_a_cpu_is_idle(
    cpus: int,
    expected: list[bool],
    told: list[str],
    tiny_space: Path,
    quick_options: RunOptions,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found: list[bool] = []
    monkeypatch.setattr(os, "cpu_count", lambda: cpus)
    monkeypatch.setattr(FigureTracker, "draw_if_idle", noting(found))
    api.sweep(tiny_space, options=quick_options)
    assert found == expected, "at the start and the end of each of four trials"
    assert [text for text in told if text.startswith("in advance")] == ["in advance: 4"] * (True in expected)


def noting(found: list[bool]) -> object:
    real = FigureTracker.draw_if_idle

    def call(tracker: FigureTracker) -> None:
        found.append(tracker.has_idle_cpu())
        real(tracker)

    return call


PROGRAM = """
import sys
from orchestrator import api, sweep

class NoFollower:
    failure, lacking, page = None, "", ""
    def __getattr__(self, name):
        return lambda *given, **named: None

api.open_follower = lambda options, name: NoFollower()
code = sweep.main(["s.yaml", "--executor", "serial"])
print(code, sorted({"matplotlib", "mlflow", "ray", "torch"} & set(sys.modules)))
"""


def test_the_driver_imports_no_matplotlib(tmp_path: Path) -> None:
    """A real command with real figures."""
    (tmp_path / "parabola.py").write_text(TRAINER, encoding="utf-8")
    (tmp_path / "s.yaml").write_text(SPACE, encoding="utf-8")
    line = [sys.executable, "-c", PROGRAM]
    done = subprocess.run(line, cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=300)
    assert done.stdout.splitlines()[-1] == "0 []", done.stdout + done.stderr
    found = {path.name for path in (tmp_path / "reports" / "out" / "s" / "figures").iterdir()}
    assert {"means.pdf", "differences-dark.svg", "curves.png"} <= found
