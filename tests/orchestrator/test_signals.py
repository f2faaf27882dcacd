"""Each signal at each moment of a sweep, once and twice, in this process. They take 10 seconds."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import orchestrator.running.executors as executors_package
from orchestrator import api, ending, interrupts, sweep
from orchestrator.api import RunOptions
from orchestrator.commands.command_line import UNFINISHED
from orchestrator.interrupts import ENDING, INTERRUPTED
from orchestrator.running import stored_plan
from orchestrator.running.driver import Driver
from orchestrator.store.record_store import RecordStore
from orchestrator.store.run_directory import RunDirectory
from orchestrator.store.sweep_results import SweepResults
from reports.write import Reports
from tests.orchestrator.conftest import NoFollower

BEFORE, DURING, AFTER = "before", "during", "after"

MOMENTS: dict[str, tuple[object, str, str]] = {
    "planning": (sweep, "announced_plan", BEFORE),
    "reading what is done": (stored_plan, "plan_state", BEFORE),
    "the executor starts": (executors_package, "open_executor", DURING),
    "a trial starts": (Driver, "started", DURING),
    "a trial reports": (Driver, "reported", DURING),
    "a trial ends": (Driver, "ended", DURING),
    "the tables": (RecordStore, "compact", DURING),
    "the figures": (ending.Ending, "add_figures", DURING),
    "the end in MLflow": (NoFollower, "close", DURING),
    "the summary": (sweep, "print_summary", AFTER),
}
"""What is called at the moment, and whether a sweep has tables to show by then."""

NO_TABLE_YET = {"planning", "reading what is done"}

CASES = [
    (moment, number, times)
    for index, moment in enumerate(MOMENTS)
    for times in (1, 2)
    for number in (ENDING if moment == "a trial reports" else (ENDING[index % 4], ENDING[(index + 2) % 4]))
]


@pytest.fixture
def line(tiny_space: Path, quick_options: RunOptions, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The command line of a sweep in this process, which draws no figures: they take seconds."""

    def few(results: SweepResults, out: Path, *_: object, **__: object) -> Reports:
        return Reports(results, out, ["markdown"])

    monkeypatch.setattr("reports.write.Reports", few)
    return [str(tiny_space), "--out", str(quick_options.out), "--executor", "serial"]


@pytest.mark.parametrize(("moment", "number", "times"), CASES)
def test_a_signal_ends_a_sweep_at_any_moment(
    moment: str, number: signal.Signals, times: int, line: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(interrupts, "SAME_SECONDS", 0.0)
    raised: list[int] = []
    owner, name, phase = MOMENTS[moment]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(owner, name, raising_first(getattr(owner, name), number, times, raised))
        assert sweep.main(line) == INTERRUPTED
    assert raised == [number] * (1 if phase in (BEFORE, AFTER) else times)
    table = Path(line[2]) / "tiny" / "table.md"
    if phase != BEFORE and times == 1:
        assert table.exists(), "there is something to show"
    with RecordStore("runs").lock():
        pass  # nobody holds it
    assert sweep.main(line) == UNFINISHED, "one of its trials always fails; the others are done"
    assert table.exists()
    directory = RunDirectory("runs")
    ids = directory.sweep("tiny").trial_ids
    done = [record.attempt for key in ids for record in directory.attempts(key) if record.state == "done"]
    assert len(done) == 3, "each once"


def raising_first(
    real: Callable[..., Any], number: signal.Signals, times: int, raised: list[int]
) -> Callable[..., Any]:
    """`real`, whose first call gets the signal `times` times."""

    def call(*given: Any, **named: Any) -> Any:
        while not raised or 0 < len(raised) < times:
            raised.append(number)
            signal.raise_signal(number)
        return real(*given, **named)

    return call


@pytest.mark.parametrize("number", ENDING)
def test_a_sweep_of_python_code_ends_gently_too(
    number: signal.Signals, tiny_space: Path, quick_options: RunOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Driver, "reported", raising_first(Driver.reported, number, 1, []))
    before = signal.getsignal(number)
    with pytest.raises(KeyboardInterrupt):
        api.sweep(tiny_space, options=quick_options)
    assert (quick_options.out / "tiny" / "table.md").exists()
    assert signal.getsignal(number) is before
