"""What the terminal says, and the numbers behind it."""

import io
from collections.abc import Callable

import pytest
from rich.console import Console

from orchestrator.planning.cost_forecast import duration
from orchestrator.running.task import Task
from orchestrator.store.records import AttemptRecord, Point, State, SweepRecord
from orchestrator.tracking.console import ConsoleTracker
from orchestrator.tracking.progress import SweepProgress


def test_eta_is_the_steps_left_at_the_rate_seen(sweep: SweepRecord, make_task: Callable[..., Task]) -> None:
    now = 1000.0
    progress = SweepProgress(sweep, {}, {"full0": 100, "full1": 300}, clock=lambda: now)
    assert progress.eta_seconds is None
    task = make_task("full0", steps=100)
    progress.started(task)
    progress.reported(task, Point(step=50, metrics={"val/miou": 0.25}))
    now = 1010.0
    assert progress.eta_seconds == pytest.approx(70.0), "350 steps left at 5 steps a second"
    assert progress.running["full0"].metrics["val/miou"] == 0.25


def test_counts_follow_the_trials(
    sweep: SweepRecord, make_task: Callable[..., Task], make_record: Callable[..., AttemptRecord]
) -> None:
    progress = SweepProgress(sweep, {"full0": make_record("full0")}, {"full1": 10})
    assert (progress.total, progress.done, progress.failures) == (4, 1, set())
    progress.started(make_task("full1"))
    progress.ended(make_task("full1"), make_record("full1", state=State.USER_ERROR))
    assert (progress.done, len(progress.failures), len(progress.running)) == (1, 1, 0)


def test_plain_output_has_a_line_per_event_and_no_markup(
    sweep: SweepRecord, make_task: Callable[..., Task], make_record: Callable[..., AttemptRecord]
) -> None:
    stream = io.StringIO()
    tracker = ConsoleTracker(Console(file=stream, width=80), {"full0": 100, "full1": 100})
    tracker.begin(sweep, {})
    for trial_id in ("full0", "full1"):
        tracker.started(make_task(trial_id))
    tracker.reported(make_task("full0"), Point(step=50, metrics={"val/miou": 0.25}))
    tracker.ended(make_task("full0"), make_record("full0", final__miou=0.5))
    tracker.ended(make_task("full1"), make_record("full1", state=State.USER_ERROR))
    tracker.finish({}, {}, True)
    lines = stream.getvalue().splitlines()
    assert lines[0] == "tiny: 4 trials, 0 done already, 2 to run"
    assert lines[1] == "  with | pipe, seed 0: step 50/100, val mIoU 0.2500"
    assert lines[2].startswith("[1/4] with | pipe, seed 0: done in 60 s, mIoU 0.5000; 1 running, 0 failed, about")
    assert lines[3] == "[2/4] with | pipe, seed 1: user error after 60 s (ValueError: broken)"


def test_the_live_table_shows_running_trials_with_their_miou(
    sweep: SweepRecord, make_task: Callable[..., Task]
) -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=120, record=True)
    tracker = ConsoleTracker(console, {"full0": 100})
    tracker.begin(sweep, {})
    tracker.started(make_task("full0"))
    tracker.reported(make_task("full0"), Point(step=25, metrics={"train/loss": 1.5, "val/miou": 0.3125}))
    console.print(tracker.view())
    tracker.finish({}, {}, True)
    text = console.export_text()
    assert "25/100" in text
    assert "1.500" in text
    assert "0.3125" in text
    assert "0 of 4 done" in text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0 s"), (89.4, "89 s"), (120, "2 min"), (5399, "90 min"), (7500, "2 h 05 min")]
)
def test_duration(seconds: float, text: str) -> None:
    assert duration(seconds) == text.replace("90 min", "1 h 30 min")
