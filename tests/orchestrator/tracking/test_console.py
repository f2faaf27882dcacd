"""What the terminal says, and the numbers behind it."""

import io
from collections.abc import Callable

import pytest
from rich.cells import cell_len
from rich.console import Console

from orchestrator.planning.cost_forecast import ExpectedTrial, duration
from orchestrator.running.task import Task
from orchestrator.store.attempt_record import AttemptRecord, ErrorRecord, Point, State
from orchestrator.store.sweep_record import SweepRecord
from orchestrator.tracking.console import ConsoleTracker
from orchestrator.tracking.progress import SweepProgress
from orchestrator.tracking.terminal import draws

KNOWN = ExpectedTrial(steps=100)
MakeTask, MakeRecord = Callable[..., Task], Callable[..., AttemptRecord]


def test_counts_follow_the_trials(sweep: SweepRecord, make_task: MakeTask, make_record: MakeRecord) -> None:
    progress = SweepProgress(sweep, {"full0": make_record("full0")}, {"full1": KNOWN})
    assert (progress.total, progress.done, progress.failures) == (4, 1, set())
    progress.started(make_task("full1"))
    progress.ended(make_task("full1"), make_record("full1", state=State.USER_ERROR))
    assert (progress.done, len(progress.failures), len(progress.running)) == (1, 1, 0)
    progress.started(make_task("full1", attempt=2))
    progress.ended(make_task("full1"), make_record("full1", state=State.STOPPED))
    assert (progress.ended_trials, progress.failures, progress.stopped) == (2, set(), {"full1"})


def test_a_search_has_as_many_trials_as_it_draws(sweep: SweepRecord) -> None:
    progress = SweepProgress(sweep, {}, {}, rows=10)
    assert (progress.to_draw, progress.total) == (8, 12)


def test_plain_output_has_a_line_per_event_and_no_markup(
    sweep: SweepRecord, make_task: MakeTask, make_record: MakeRecord
) -> None:
    stream = io.StringIO()
    tracker = ConsoleTracker(Console(file=stream, width=80), {"full0": KNOWN, "full1": KNOWN})
    tracker.begin(sweep, {})
    for what in ("starting Ray", "importing torch (once per node)", ""):
        tracker.preparing(what)
    for trial_id in ("full0", "full1"):
        tracker.started(make_task(trial_id))
    for step in (25, 50):
        tracker.reported(make_task("full0"), Point(step=step, metrics={"train/loss": 1.0}))
    tracker.reported(make_task("full0"), Point(step=50, metrics={"val/miou": 0.25}))
    tracker.ended(make_task("full0"), make_record("full0", final__miou=0.5))
    tracker.ended(make_task("full1"), make_record("full1", state=State.USER_ERROR))
    tracker.started(make_task("full1", attempt=2))
    tracker.ended(make_task("full1"), make_record("full1", final__miou=0.75))
    tracker.finish({}, {}, True)
    lines = stream.getvalue().splitlines()
    assert lines[:4] == [
        "tiny: 4 trials, 0 done already, 2 to run",
        "starting Ray",
        "importing torch (once per node)",
        "  with | pipe, seed 0: step 50/100, val mIoU 25.00%",
    ]
    assert lines[4].startswith("[1/4] with | pipe, seed 0: done in 60 s, mIoU 50.00%; 1 running")
    assert lines[5] == "[2/4] with | pipe, seed 1: user error after 60 s (ValueError: broken)"
    assert lines[6].startswith("[2/4] with | pipe, seed 1: done in 60 s, mIoU 75.00%")
    assert lines[7:] == ["  with | pipe: mIoU 62.50 ± 17.68% over 2 seeds, best so far"]


def test_a_terminal_keeps_a_line_per_trial_and_wraps_it_between_words(
    sweep: SweepRecord, make_task: MakeTask, make_record: MakeRecord
) -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=60, record=True, _environ={})
    tracker = ConsoleTracker(console, {"full0": KNOWN, "full1": KNOWN})
    tracker.begin(sweep, {})
    assert tracker.live is not None
    for trial_id in ("full0", "full1"):
        tracker.started(make_task(trial_id))
        tracker.reported(make_task(trial_id), Point(step=50, metrics={"val/miou": 0.25}))
    tracker.ended(make_task("full0"), make_record("full0", final__miou=0.5))
    error = ErrorRecord(kind="DataError", message="the images of the test split have other sizes than their labels")
    record = make_record("full1", state=State.DATA_ERROR)
    tracker.ended(make_task("full1"), AttemptRecord(**{**record.to_json(), "state": record.state, "error": error}))
    tracker.finish({}, {}, True)
    assert tracker.live is None
    text = console.export_text().replace("best so far", "best so far\n")  # each view replaces the last
    lines = [line.rstrip() for line in text.splitlines()]
    assert max(map(cell_len, lines)) <= 60
    assert "[1/4] with | pipe, seed 0: done in 60 s, mIoU 50.00%" in lines
    place = lines.index("[2/4] with | pipe, seed 1: data error after 60 s (DataError:")
    assert lines[place + 1 :][:2] == [
        "the images of the test split have other sizes than their",
        "labels)",
    ]


@pytest.mark.parametrize("environment", [{"TERM": "dumb"}, {"TERM": "unknown"}])
def test_a_dumb_terminal_gets_plain_lines(sweep: SweepRecord, environment: dict[str, str]) -> None:
    console = Console(file=io.StringIO(), force_terminal=True, _environ=environment)
    tracker = ConsoleTracker(console, {"full0": KNOWN})
    tracker.begin(sweep, {})
    assert tracker.live is None
    assert not draws(console)


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0 s"), (89.4, "89 s"), (120, "2 min"), (5399, "90 min"), (7500, "2 h 05 min")]
)
def test_duration(seconds: float, text: str) -> None:
    assert duration(seconds) == text.replace("90 min", "1 h 30 min")
